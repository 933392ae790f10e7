"""Pictures of every mode, and their files, for tests."""

import io

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 64, 96


def colours() -> np.ndarray:
    """Blocks of colour, (64, 96, 3) uint8."""
    blocks = np.random.default_rng(0).integers(0, 256, (8, 12, 3))
    return np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)


def file_of(image: Image.Image, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deep(values: np.ndarray, ending: str) -> bytes:
    """A file of values (H, W, C) uint16."""
    order = [2, 1, 0, 3][: values.shape[2]]
    return cv2.imencode(ending, values[..., order])[1].tobytes()


GREY, ALPHA = colours()[..., 0], colours()[..., 1]
DEEP = (colours().astype(np.uint16) << 8) + 77
IMAGES = {
    "1": Image.fromarray(GREY).convert("1"),
    "L": Image.fromarray(GREY),
    "LA": Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]),
    "P": Image.fromarray(colours()).quantize(40),
    "RGB": Image.fromarray(colours()),
    "RGBA": Image.fromarray(np.dstack([colours(), ALPHA])),
    "CMYK": Image.fromarray(colours()).convert("CMYK"),
    "LAB": Image.merge("LAB", Image.fromarray(colours()).split()),
    "YCbCr": Image.fromarray(colours()).convert("YCbCr"),
    "I;16": Image.fromarray(DEEP[..., 0]),
    "I": Image.fromarray(GREY.astype(np.int32) * 200),
    "F": Image.fromarray(GREY.astype(np.float32) / 255),
}
