"""The colours of an image file: what they are in sRGB, which the networks see, and back.

Source: ICC.1:2022, by LittleCMS as Pillow brings it; relative colorimetric, with black point
compensation.
"""

import io

import numpy as np
from PIL import Image, ImageCms

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}  # ICC's names of Pillow's modes
_SAME = 2  # of 255: a profile that moves no colour further is sRGB's
_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def image_of(pixels: np.ndarray, mode: str) -> Image.Image:
    """Pillow's image of pixels (H, W[, C]) uint8 in a mode."""
    height, width = pixels.shape[:2]
    pixels = np.ascontiguousarray(pixels)
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _profile_of(icc: bytes, mode: str) -> ImageCms.ImageCmsProfile:
    """Raises ValueError when it is damaged, or not of that mode."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError) as error:
        raise ValueError("its colour profile is damaged") from error
    if space != _SPACES[mode]:
        raise ValueError(f"its colour profile is of {space} colours, and the picture is not")
    return profile


def _transform(
    source: ImageCms.ImageCmsProfile, mode: str, target: ImageCms.ImageCmsProfile, to: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        target,
        mode,
        to,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


class Colours:
    """How a file's pixels stand for colours.

    Args:
        mode: Pillow's of 8 bits without alpha: L, RGB, CMYK or LAB.
        icc: the file's profile, if it has one; without, L and RGB are sRGB's.
        black, white: the values of the darkest and the lightest level.
        dtype: of the values; integers are rounded.

    Raises:
        ValueError: with what is wrong with the profile.
    """

    def __init__(
        self,
        mode: str,
        icc: bytes | None = None,
        black: float = 0,
        white: float = 255,
        dtype: np.dtype | type = np.uint8,
    ) -> None:
        self.mode, self.icc = mode, icc
        self._black, self._white, self.dtype = black, white, np.dtype(dtype)
        self._plain = self.dtype == np.uint8 and (black, white) == (0, 255)
        self._there: ImageCms.ImageCmsTransform | None = None
        self._back: ImageCms.ImageCmsTransform | None = None
        if icc is None and mode != "LAB":
            return
        own = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        own = own if icc is None else _profile_of(icc, mode)
        try:
            self._there = _transform(own, mode, _SRGB, "RGB")
            self._back = _transform(_SRGB, "RGB", own, mode)
        except ImageCms.PyCMSError as error:
            raise ValueError("its colour profile cannot be used") from error
        if mode == "RGB" and self._moves_nothing():
            self._there = self._back = None

    @property
    def are_srgb(self) -> bool:
        """Whether the pixels are sRGB's of 8 bits as they stand."""
        return self._plain and self.mode == "RGB" and self._there is None

    def to_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """SRGB (H, W, 3) uint8 of a file's pixels (H, W[, C])."""
        if self.are_srgb:
            return pixels
        if not self._plain:
            span = self._white - self._black
            share = ((pixels.astype(np.float32) - self._black) / span).clip(0, 1)
            pixels = np.rint(np.nan_to_num(share) * 255).astype(np.uint8)
        return self._converted(image_of(pixels, self.mode), self._there, "RGB")

    def from_srgb(self, pixels: np.ndarray) -> np.ndarray:
        """A file's pixels (H, W[, C]) of sRGB's (H, W, 3) uint8."""
        own = pixels
        if not self.are_srgb:
            own = self._converted(image_of(pixels, "RGB"), self._back, self.mode)
        if self._plain:
            return own
        values = self._black + own.astype(np.float64) / 255 * (self._white - self._black)
        whole = np.issubdtype(self.dtype, np.integer)
        return (np.rint(values) if whole else values).astype(self.dtype)

    @staticmethod
    def _converted(
        image: Image.Image, transform: ImageCms.ImageCmsTransform | None, mode: str
    ) -> np.ndarray:
        if transform is None:
            return np.asarray(image.convert(mode))
        return np.asarray(ImageCms.applyTransform(image, transform))

    def _moves_nothing(self) -> bool:
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        there = self._converted(image_of(grid, "RGB"), self._there, "RGB")
        return bool(np.abs(there.astype(int) - grid).max() <= _SAME)


def levels_of(values: np.ndarray) -> tuple[float, float]:
    """The darkest and the lightest level that floating point or 32-bit values can stand for.

    Files do not say it: 1 is white where nothing is more, else 255, else 65,535.

    Raises:
        ValueError: when none is finite, or they go beyond.
    """
    finite = values[np.isfinite(values)]
    most = float(finite.max()) if finite.size else np.inf
    for white in (1.0, 255.0, 65535.0):
        if most <= white:
            return 0.0, white
    raise ValueError("its pixels are numbers beyond 65,535, of which none is known as white")
