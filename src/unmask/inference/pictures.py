"""Pictures as PNG files and as base64 text."""

import base64
import binascii

import numpy as np

from unmask.inference.image_file import ImageFile, encode_array, read_image
from unmask.inference.metadata import Metadata
from unmask.inference.results import PictureError

_PLAIN = str.maketrans("-_", "+/")  # of the URL-safe alphabet


def decode_picture(raw: bytes, name: str) -> np.ndarray:
    """SRGB uint8 (H, W, 3) of an image file's bytes, turned as its EXIF orientation says.

    Args:
        raw: the file's bytes.
        name: of the file, for errors.

    Raises:
        PictureError: naming the file, when it is no image, broken, or too large.
    """
    return read_image(raw, name).pixels


def encode_picture(picture: np.ndarray, model: str | None = None) -> bytes:
    """PNG bytes of a picture or a bool mask.

    Args:
        picture: (H, W, 3) uint8 RGB, (H, W) uint8 grey, or (H, W) bool.
        model: when given, the metadata says that a region is synthesised, and by which model.
    """
    values = picture.astype(np.uint8) * 255 if picture.dtype == bool else picture
    return encode_array(values, Metadata() if model is None else Metadata().synthesised_by(model))


def from_base64(text: str, name: str) -> ImageFile:
    """The image file of base64 text, as data URL or not, in RFC 4648's plain or URL-safe alphabet.

    Line breaks in it and missing padding are taken.

    Raises:
        PictureError: naming the input, when it is no base64 or no image.
    """
    head, comma, body = text.partition(",")
    if not comma:
        body = text
    elif not (head.lower().startswith("data:") and head.lower().endswith(";base64")):
        raise PictureError(f"{name}: not base64, nor a data URL of it.")
    body = "".join(body.split()).translate(_PLAIN).rstrip("=")
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureError(f"{name}: not base64 ({error}).") from error
    return read_image(raw, name)
