"""Pictures and masks as PNG, as the shards hold them."""

import cv2
import numpy as np


def encode_image(image: np.ndarray) -> bytes:
    """PNG bytes of an RGB uint8 (H, W, 3) or bool (H, W) array."""
    pixels: np.ndarray
    if image.dtype == bool:
        pixels = image.astype(np.uint8) * 255
        options = [cv2.IMWRITE_PNG_BILEVEL, 1]
    else:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    return cv2.imencode(".png", pixels, options)[1].tobytes()


def _decode(png: bytes, flags: int) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), flags)
    if pixels is None:
        raise ValueError("these bytes are not a picture that OpenCV can decode")
    return pixels


def decode_image(png: bytes) -> np.ndarray:
    """RGB uint8 (H, W, 3) from `encode_image`'s bytes.

    Raises:
        ValueError: for bytes that are no picture.
    """
    return cv2.cvtColor(_decode(png, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def decode_mask(png: bytes) -> np.ndarray:
    """Bool (H, W) from `encode_image`'s bytes.

    Raises:
        ValueError: for bytes that are no picture.
    """
    return _decode(png, cv2.IMREAD_GRAYSCALE) > 127
