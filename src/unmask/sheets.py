"""Contact sheets: pictures in rows and columns, and what is drawn into them."""

from collections.abc import Sequence

import cv2
import numpy as np

_SIDE, _COLUMNS = 160, 8  # of a sheet of photos: pixels of a thumbnail, thumbnails in a row
_COLOURS = {"true": (0, 200, 0), "predicted": (255, 60, 60)}


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Stack rows of equally large RGB pictures, with a white line of two pixels between."""
    padded = [
        np.concatenate([np.pad(p, ((0, 2), (0, 2), (0, 0)), constant_values=255) for p in row], 1)
        for row in rows
    ]
    return np.concatenate(padded, axis=0)


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """The middle square of a picture (H, W, 3), of 160 pixels a side."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    smooth = cv2.INTER_AREA if side > _SIDE else cv2.INTER_CUBIC
    square = picture[top : top + side, left : left + side]
    return cv2.resize(square, (_SIDE, _SIDE), interpolation=smooth)


def before_after(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Thumbnails of photos (H, W, 3) uint8 RGB of any size, each above its restoration."""
    columns = min(_COLUMNS, len(pairs))
    blank = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
    small = [[_thumbnail(picture) for picture in pair] for pair in pairs]
    small += [[blank, blank]] * (-len(pairs) % columns)
    rows = []
    for first in range(0, len(small), columns):
        rows += [list(row) for row in zip(*small[first : first + columns], strict=True)]
    return grid(rows)


def with_points(image: np.ndarray, landmarks: dict[str, np.ndarray]) -> np.ndarray:
    """A copy of an RGB picture, twice as large, with landmarks (68, 2) drawn in.

    Args:
        landmarks: 'true' ones are drawn green, 'predicted' ones red.
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, points in landmarks.items():
        for x, y in (points + 0.5) * 2 - 0.5:
            centre = (round(float(x)), round(float(y)))
            cv2.circle(drawn, centre, 1, _COLOURS[kind], -1, cv2.LINE_AA)
    return drawn


def with_outlines(image: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """A copy of an RGB picture, twice as large, with the outlines of bool masks (H, W) drawn in.

    Args:
        masks: the 'true' one is drawn green, the 'predicted' one red.
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, mask in masks.items():
        large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, _COLOURS[kind], 1)
    return drawn


def captioned(image: np.ndarray, text: str) -> np.ndarray:
    """A copy of an RGB picture with a short white text on a dark line at its foot."""
    drawn = image.copy()
    drawn[-14:] = drawn[-14:] // 3
    cv2.putText(
        drawn,
        text,
        (3, drawn.shape[0] - 4),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.36,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
    return drawn
