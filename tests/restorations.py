"""Restorations, and pictures as files and as base64, that tests make."""

import base64
from pathlib import Path

import numpy as np

from unmask.inference.pictures import encode_picture
from unmask.inference.results import FaceAnswer, Patch, Restoration


def whole(
    given: np.ndarray,
    picture: np.ndarray,
    hole: np.ndarray,
    answer: FaceAnswer,
    samples: tuple[np.ndarray, ...] = (),
) -> Restoration:
    """A restoration of one face, whose patch is all of the picture."""
    rows, columns = (slice(0, length) for length in given.shape[:2])
    patch = Patch(rows, columns, picture, hole, hole, samples)
    return Restoration(given, [answer], [patch], len(samples))


def to_base64(picture: np.ndarray) -> str:
    """A picture or a mask as PNG in base64."""
    return base64.b64encode(encode_picture(picture)).decode()


def paint(path: Path, value: int = 50) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_picture(np.full((20, 30, 3), value, np.uint8)))
    return path
