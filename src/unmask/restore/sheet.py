"""A contact sheet of restored picture files."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from unmask.restore.pictures import decode_picture

_SIDE, _COLUMNS = 160, 8


def _square(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = picture[top : top + side, left : left + side]
    shrinks = side > _SIDE
    resized = cv2.resize(
        cut, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.pad(resized, ((0, 2), (0, 2), (0, 0)), constant_values=255)


def before_after_sheet(sources: list[Path], out: Path, sheet: Path) -> None:
    """Write `sheet`: every picture given above its restoration OUT/<stem>.png."""
    pairs = []
    for source in sources:
        restored = out / f"{source.stem}.png"
        pictures = [decode_picture(p.read_bytes(), str(p)) for p in (source, restored)]
        pairs.append(np.concatenate([_square(p) for p in pictures], axis=0))
    columns = min(_COLUMNS, len(pairs))
    blank = np.full_like(pairs[0], 255)
    pairs += [blank] * (-len(pairs) % columns)
    rows = [np.concatenate(pairs[i : i + columns], 1) for i in range(0, len(pairs), columns)]
    Image.fromarray(np.concatenate(rows, axis=0)).save(sheet)
