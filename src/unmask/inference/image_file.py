"""An image file: the pixels that networks see, and all else that its answer keeps.

Networks see sRGB of 8 bits, upright and over white. The answer has the colours, depth, profile,
transparency and metadata of the file, and of its pixels only those that were restored are others.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image, JpegImagePlugin, PngImagePlugin, UnidentifiedImageError

from unmask.errors import UnmaskError
from unmask.inference.colour import Colours, image_of, levels_of
from unmask.inference.content_credentials import credentials_of_environment
from unmask.inference.metadata import IPTC_TAG, Metadata, iptc_segment, read_metadata
from unmask.inference.results import PictureError

LARGEST_PICTURE = 50_000_000  # pixels
COMPRESSION = 2  # of PNG's 9: a photo takes 4 to 18 % more bytes than at 6, in a third of the time
QUALITY = 95  # of 100, of what is compressed with loss
SAME = "same"
FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
_ENDINGS = FORMATS | {"heif": ".heic"}  # which is only written where it was read
_OTHER = ""  # a format that is not written, but answered as PNG
_MODES = {  # that each format can hold: Pillow's, and the values that are no 8 bits
    "png": {"L", "LA", "RGB", "RGBA", "L;16", "RGB;16", "RGBA;16"},
    "jpeg": {"L", "RGB", "CMYK"},
    "webp": {"RGB", "RGBA"},
    "tiff": {"L", "LA", "RGB", "RGBA", "CMYK", "LAB", "L;16", "L;32", "L;float"},
    "avif": {"RGB", "RGBA"},
    "heif": {"RGB", "RGBA"},
    _OTHER: set(),
}
_DEPTHS = {"uint8": "", "uint16": ";16", "int32": ";32", "float32": ";float"}
_PLAINER = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
_LOSSLESS_TIFF = ("raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _XMP = 258, 262, 700  # tags of TIFF
_BROKEN = (  # what the decoders raise for damaged files
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, UnidentifiedImageError, cv2.error),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError),
)
_END_OF_JPEG = b"\xff\xd9"
_FILLERS = (b"", bytes(200), bytes(range(1, 200)), b"\x5a\xc3" * 100, b"\xa5\x3c" * 100)
_HEIF = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # by EXIF's orientation
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}
Image.MAX_IMAGE_PIXELS = None  # large pictures are refused here, by a limit that callers can raise


@dataclass(frozen=True)
class Writing:
    """How answers are written.

    Attributes:
        format: of FORMATS, or SAME for the input's; an input in another one is answered as PNG,
            and values that a format cannot hold as sRGB of 8 bits.
        quality: 1 to 100, of what is compressed with loss; None takes that of a JPEG file that is
            answered as one, else QUALITY.
        strip_metadata: whether what the file says beside its pixels is left out, but for its
            colour profile.
    """

    format: str = SAME
    quality: int | None = None
    strip_metadata: bool = False

    @classmethod
    def parse(
        cls, format_: str = SAME, quality: int = 0, strip_metadata: bool = False
    ) -> "Writing":
        """From what a user gives.

        Args:
            format_: same, or of FORMATS.
            quality: 1 to 100; 0 for the input's or QUALITY.
            strip_metadata: whether metadata is left out.

        Raises:
            UnmaskError: naming the value that does not fit, or files that are to sign and cannot.
        """
        if format_ not in (SAME, *FORMATS):
            names = ", ".join(FORMATS)
            raise UnmaskError(f"format is {format_!r}: use {SAME}, {names}.")
        if not 0 <= quality <= 100:
            raise UnmaskError(f"quality is {quality}: use 1 to 100, or 0 for the input's own.")
        credentials_of_environment()
        return cls(format_, int(quality) or None, strip_metadata)


AS_GIVEN = Writing()


@dataclass(frozen=True)
class ImageFile:
    """A decoded image file, upright.

    Attributes:
        pixels: (H, W, 3) uint8, sRGB, over white where it is transparent.
        colours: how `own` stand for colours.
        own: (H, W[, C]), its values without alpha.
        alpha: (H, W) of the same type, or None.
        format: of FORMATS or 'heif'; 'png' for a file of another one.
        metadata: what it says beside its pixels.
        name: of the file, for errors.
        given: the file's bytes, where its format is one of answers; else none.
        coding: options of Pillow's encoder that lose least where the answer has its format.
        warnings: what is not kept, in a few words each.
    """

    pixels: np.ndarray
    colours: Colours
    own: np.ndarray
    alpha: np.ndarray | None
    format: str
    metadata: Metadata
    name: str
    given: bytes = b""
    coding: dict = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def suffix(self, writing: Writing) -> str:
        """Ending of the name of an answer's file."""
        return _ENDINGS[self._format(writing)]

    def encode(self, restored: np.ndarray, writing: Writing, model: str | None = None) -> bytes:
        """The file of a restored picture, whose other pixels stay what they were.

        Args:
            restored: (H, W, 3) uint8, sRGB, which equals `pixels` where nothing was restored.
            writing: format, quality and metadata.
            model: when given, the metadata says that a region is synthesised, and by which model.

        Raises:
            PictureError: when the format cannot hold a picture of this size, or it cannot be signed
                where `credentials_of_environment` says so.
        """
        kind = self._format(writing)
        metadata = Metadata(dpi=self.metadata.dpi) if writing.strip_metadata else self.metadata
        if model is not None:
            metadata = metadata.synthesised_by(model)
        own = self._own_with(restored)
        icc, mode, alpha = self.colours.icc, self.colours.mode, self.alpha
        depth = _DEPTHS[own.dtype.name]
        if f"{mode}{'A' * (alpha is not None)}{depth}" not in _MODES[kind]:
            keeps_alpha = alpha is not None and "RGBA" in _MODES[kind]
            own = self.colours.to_srgb(own) if keeps_alpha else restored
            alpha = _eight_bits(alpha) if alpha is not None and keeps_alpha else None
            icc, mode, depth = None, "RGB", ""
        values = own if alpha is None else np.dstack([own, alpha])
        mode += "A" * (alpha is not None)
        coding = self._coding(kind, writing)
        try:
            content = _encoded(values, mode + depth, kind, icc, metadata, coding)
        except (OSError, ValueError) as error:
            height, width = self.pixels.shape[:2]
            raise PictureError(
                f"{self.name}: {width} x {height} pixels cannot be written as {kind} ({error}): "
                "choose another format."
            ) from error
        return content if model is None else self._signed(content, kind, writing, model)

    def _signed(self, content: bytes, kind: str, writing: Writing, model: str) -> bytes:
        """A restored picture's file with its manifest, where pictures are signed."""
        credentials = credentials_of_environment()
        if credentials is None:
            return content
        plain = writing.strip_metadata or not self.given
        given = encode_array(self.pixels, Metadata()) if plain else self.given
        try:
            return credentials.sign(content, kind, given, "png" if plain else self.format, model)
        except PictureError as error:
            raise PictureError(f"{self.name}: {error}.") from error

    def _format(self, writing: Writing) -> str:
        return self.format if writing.format == SAME else writing.format

    def _coding(self, kind: str, writing: Writing) -> dict:
        quality = {"quality": QUALITY if writing.quality is None else writing.quality}
        if kind == "png":
            return {"compress_level": COMPRESSION}
        if kind == "tiff":
            return self.coding if self.format == kind else {"compression": "tiff_adobe_deflate"}
        if self.format == kind:
            return self.coding if writing.quality is None else self.coding | quality
        return quality | ({"subsampling": 0} if kind == "jpeg" else {})

    def _own_with(self, restored: np.ndarray) -> np.ndarray:
        """The file's values (H, W[, C]) with those of the pixels that are others in `restored`."""
        if self.own is self.pixels:
            return restored
        changed = (restored != self.pixels).any(axis=2)
        if self.alpha is not None:
            changed &= self.alpha > 0
        own = self.own.copy()
        if not changed.any():
            return own
        new = restored[changed][:, None]
        if self.alpha is not None:
            share = (_eight_bits(self.alpha)[changed] / np.float32(255))[:, None, None]
            over = 255 - (255 - new.astype(np.float32)) / np.maximum(share, 1 / 255)
            new = np.rint(over.clip(0, 255)).astype(np.uint8)
        own[changed] = self.colours.from_srgb(new)[:, 0]
        return own


def read_image(raw: bytes, name: str, most_pixels: int = LARGEST_PICTURE) -> ImageFile:
    """Decode an image file's bytes.

    Args:
        raw: the bytes.
        name: of the file, for errors.
        most_pixels: that are taken.

    Raises:
        PictureError: naming the file, when it is no image, broken, or too large.
    """
    if raw[4:8] == b"ftyp" and raw[8:12] in _HEIF:
        _take_heif(name)
    try:
        with Image.open(io.BytesIO(raw)) as opened:
            image: Image.Image = opened
            if image.width * image.height > most_pixels:
                raise PictureError(
                    f"{name}: {image.width} x {image.height} pixels, more than the "
                    f"{most_pixels / 1e6:.3g} million that are taken; make it smaller."
                )
            kind, warnings = _format_of(image), []
            if (frames := getattr(image, "n_frames", 1)) > 1:
                warnings.append(f"only the first of its {frames} pictures is kept")
            coding = _coding_of(image, kind, raw)
            image, lacking = _loaded(image, raw)
            if lacking:
                warnings.append("the file lacks its end mark")
            metadata, orientation, lost = read_metadata(image)
            values, mode, black, white = _values_of(image, raw)
            depth = _DEPTHS[values.dtype.name]
            if depth and f"{mode}{depth}" not in _MODES[kind]:
                kind = _OTHER
    except PictureError:
        raise
    except _BROKEN as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text names an object in memory
        why = "" if unknown else f" ({error})"
        raise PictureError(f"{name}: not an image that can be read{why}.") from error
    warnings += lost
    if orientation in _UPRIGHT:
        values = _UPRIGHT[orientation](values)
    own, alpha = values, None
    if mode.endswith("A"):
        mode, alpha = mode[:-1], np.ascontiguousarray(values[..., -1])
        own = values[..., 0] if mode == "L" else values[..., :-1]
    own = np.ascontiguousarray(own)
    try:
        colours = Colours(mode, image.info.get("icc_profile") or None, black, white, own.dtype)
    except ValueError as error:
        warnings.append(f"{error} and is left out")
        colours = Colours(mode, None, black, white, own.dtype)
    pixels = colours.to_srgb(own)
    if alpha is not None:
        pixels = _over_white(pixels, _eight_bits(alpha))
    given, kind = (b"", "png") if kind == _OTHER else (raw, kind)
    said = tuple(warnings)
    return ImageFile(pixels, colours, own, alpha, kind, metadata, name, given, coding, said)


def encode_array(values: np.ndarray, metadata: Metadata, format_: str = "png") -> bytes:
    """The bytes of a file of (H, W, 3) uint8 RGB or (H, W) uint8 grey, as PNG or JPEG."""
    mode = "L" if values.ndim == 2 else "RGB"
    coding = {"compress_level": COMPRESSION} if format_ == "png" else {"quality": QUALITY}
    return _encoded(values, mode, format_, None, metadata, coding)


def media_type_of(raw: bytes) -> str:
    """The media type of a file that was written here."""
    with Image.open(io.BytesIO(raw)) as image:
        return Image.MIME[image.format or ""]


def _take_heif(name: str) -> None:
    """Have Pillow open HEIC files.

    Raises:
        PictureError: when the package that can is not installed.
    """
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise PictureError(
            f"{name}: HEIC needs pillow-heif, which the extra 'heic' brings: pip install "
            "'unmask[heic]'."
        ) from error
    register_heif_opener(thumbnails=False)


def _format_of(image: Image.Image) -> str:
    """Of FORMATS or 'heif', else _OTHER."""
    kind = (image.format or "").lower()
    kind = {"mpo": "jpeg"}.get(kind, kind)
    return kind if kind in _ENDINGS else _OTHER


def _coding_of(image: Image.Image, kind: str, raw: bytes) -> dict:
    """Options of Pillow's encoder with which a file loses least when it is written again."""
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        sampling = JpegImagePlugin.get_sampling(image)
        coding = {"qtables": image.quantization, "progressive": "progressive" in image.info}
        return coding | ({"subsampling": sampling} if sampling >= 0 else {})
    if kind == "webp":
        return {"lossless": b"VP8L" in _riff_chunks(raw), "exact": True, "quality": QUALITY}
    if kind == "tiff":
        used = image.info.get("compression")
        return {"compression": used if used in _LOSSLESS_TIFF else "tiff_adobe_deflate"}
    return {"quality": QUALITY}


def _riff_chunks(raw: bytes) -> list[bytes]:
    """Kinds of the chunks of a WebP file, and of those in the frames of an animation."""
    kinds, at = [], 12
    while at < len(raw):
        kinds.append(kind := raw[at : at + 4])
        size = int.from_bytes(raw[at + 4 : at + 8], "little")
        at += 24 if kind == b"ANMF" else 8 + size + size % 2
    return kinds


def _loaded(image: Image.Image, raw: bytes) -> tuple[Image.Image, bool]:
    """An image, decoded, and whether it is a JPEG file that lacks no more than its end mark.

    What is decoded of a file that lacks more depends on the bytes that follow.
    """
    try:
        image.load()
    except OSError:
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            raise
        whole = raw.removesuffix(_END_OF_JPEG[:1])
        ended, *filled = (Image.open(io.BytesIO(whole + more + _END_OF_JPEG)) for more in _FILLERS)
        if any(other.tobytes() != ended.tobytes() for other in filled):
            raise
        return ended, True
    return image, False


def _values_of(image: Image.Image, raw: bytes) -> tuple[np.ndarray, str, float, float]:
    """Values (H, W[, C]), their mode, and the values of the darkest and the lightest level."""
    tags = getattr(image, "tag_v2", {})
    if _has_deep_colours(raw, tags):
        values = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_UNCHANGED)
        if values is None or values.ndim != 3 or values.dtype != np.uint16:
            raise ValueError("its colours of 16 bits are damaged")
        order = [2, 1, 0, 3][: values.shape[2]]
        return values[..., order], "RGBA" if len(order) == 4 else "RGB", 0, 65535
    mode = image.mode
    if mode.startswith(("I", "F")):
        values = np.asarray(image)
        values = values.astype(values.dtype.newbyteorder("="))
        black, white = 0.0, float(2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1)
        if values.dtype != np.uint16:
            black, white = levels_of(values)
        if tags.get(_PHOTOMETRIC) == 0:  # white is zero
            black, white = white, black
        return values, "L", black, white
    if image.has_transparency_data:
        mode = "LA" if mode in ("L", "1", "LA", "La") else "RGBA"
    elif mode == "P":
        mode = "RGB"
    mode = _PLAINER.get(mode, mode)
    return np.asarray(image if image.mode == mode else image.convert(mode)), mode, 0, 255


def _has_deep_colours(raw: bytes, tags: dict) -> bool:
    """Whether a PNG or TIFF file has colours of 16 bits, of which Pillow keeps 8."""
    if raw.startswith(b"\x89PNG"):
        return raw[24] == 16 and raw[25] in (2, 4, 6)
    bits = tags.get(_BITS_PER_SAMPLE, ())
    return len(bits) > 2 and set(bits) == {16} and tags.get(_PHOTOMETRIC) == 2


def _eight_bits(alpha: np.ndarray) -> np.ndarray:
    return alpha if alpha.dtype == np.uint8 else (alpha // 257).astype(np.uint8)


def _over_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 3) uint8 with alpha (H, W) uint8 over white."""
    dark = (255 - pixels).astype(np.uint16) * alpha[..., None]
    return (255 - (dark + 127) // 255).astype(np.uint8)


def _encoded(
    values: np.ndarray, mode: str, kind: str, icc: bytes | None, metadata: Metadata, coding: dict
) -> bytes:
    """The bytes of a file.

    Args:
        values: (H, W[, C]).
        mode: of _MODES[kind].
        kind: a format.
        icc: the colour profile, or None.
        metadata: what the file says.
        coding: options of Pillow's encoder.
    """
    said: dict[str, object] = {"icc_profile": icc, "exif": metadata.exif, "dpi": metadata.dpi}
    if kind == "png":
        said["pnginfo"] = _png_text(metadata)
    elif kind == "tiff":
        said["exif"] = _tiff_tags(metadata)
    else:
        said["xmp"] = metadata.xmp
    if kind == "jpeg":
        said["extra"] = iptc_segment(metadata.iptc)
    options = coding | {name: value for name, value in said.items() if value}
    if kind == "png" and mode != "L;16" and mode.endswith(";16"):
        return _deep_png(values, options)
    buffer = io.BytesIO()
    plain = ";" not in mode
    picture = image_of(values, mode) if plain else Image.fromarray(values)
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _tiff_tags(metadata: Metadata) -> Image.Exif:
    """EXIF, whose tags are a TIFF file's own, with the XMP and IPTC-IIM."""
    tags = Image.Exif()
    if metadata.exif:
        tags.load(metadata.exif)
    if metadata.xmp:
        tags[_XMP] = metadata.xmp
    if metadata.iptc:
        tags[IPTC_TAG] = metadata.iptc
    return tags


def _png_text(metadata: Metadata) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in metadata.text.items():
        info.add_text(key, value)
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode(errors="replace"))
    return info


def _deep_png(values: np.ndarray, options: dict) -> bytes:
    """PNG bytes of colours (H, W, C) uint16, which Pillow does not write, with its metadata."""
    order = [2, 1, 0, 3][: values.shape[2]]
    _, deep = cv2.imencode(".png", values[..., order], [cv2.IMWRITE_PNG_COMPRESSION, COMPRESSION])
    buffer = io.BytesIO()
    Image.new("RGB", (1, 1)).save(buffer, "png", **options)
    said = b"".join(
        chunk
        for kind, chunk in _chunks(buffer.getvalue())
        if kind not in (b"IHDR", b"IDAT", b"IEND")
    )
    header, *rest = (chunk for _, chunk in _chunks(deep.tobytes()))
    return deep.tobytes()[:8] + header + said + b"".join(rest)


def _chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and bytes of each chunk of a PNG file."""
    found, at = [], 8
    while at < len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at:end]))
        at = end
    return found
