"""Reading the pictures people give and writing the ones they get."""

import base64
import binascii
import io
import struct

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from unmask.inference.results import PictureError

LARGEST_PICTURE = 50_000_000  # pixels
COMPRESSION = 2  # of PNG's 9: a photo takes 4 to 18 % more bytes than at 6, in a third of the time
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, UnidentifiedImageError)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def decode_picture(raw: bytes, name: str) -> np.ndarray:
    """RGB uint8 (H, W, 3) of an image file's bytes, turned as its EXIF orientation says.

    Args:
        raw: the file's bytes.
        name: of the file, for errors.

    Raises:
        PictureError: naming the file, when it is no image, broken, or too large.
    """
    try:
        with Image.open(io.BytesIO(raw)) as image:
            if image.width * image.height > LARGEST_PICTURE:
                raise PictureError(
                    f"{name}: {image.width} x {image.height} pixels, more than the "
                    f"{LARGEST_PICTURE // 1_000_000} million that are taken; make it smaller."
                )
            turned = ImageOps.exif_transpose(image)
            if turned.mode.startswith("I"):  # 16 bit, of which Pillow's own conversion clips
                levels = np.asarray(turned).astype(np.int64).clip(0, 65535) >> 8
                turned = Image.fromarray(levels.astype(np.uint8))
            return np.asarray(turned.convert("RGB"))
    except (*_BROKEN, Image.DecompressionBombError) as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text names an object in memory
        why = "" if unknown else f" ({error})"
        raise PictureError(f"{name}: not an image that can be read{why}.") from error


def encode_picture(picture: np.ndarray, model: str | None = None) -> bytes:
    """PNG bytes of an RGB uint8 picture or a bool mask.

    Args:
        picture: (H, W, 3) uint8 RGB, or (H, W) bool.
        model: when given, the metadata says that a region is synthesised, and by which model.
    """
    pixels = picture.astype(np.uint8) * 255 if picture.dtype == bool else picture
    metadata = PngImagePlugin.PngInfo()
    if model is not None:
        metadata.add_text("Software", f"unmask, model {model}")
        metadata.add_text("Comment", "The region of the face mask is synthesised.")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png", pnginfo=metadata, compress_level=COMPRESSION)
    return buffer.getvalue()


def to_base64(picture: np.ndarray, model: str | None = None) -> str:
    """The base64-encoded PNG of `encode_picture`."""
    return base64.b64encode(encode_picture(picture, model)).decode()


def from_base64(text: str, name: str) -> np.ndarray:
    """The picture of base64-encoded image bytes.

    Raises:
        PictureError: naming the input, when it is no base64 or no image.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError(f"{name}: not base64 ({error}).") from error
    return decode_picture(raw, name)
