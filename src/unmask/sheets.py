"""Contact sheets: grids of pictures, with landmarks, outlines and captions drawn in."""

from collections.abc import Sequence

import cv2
import numpy as np

_SIDE, _COLUMNS = 160, 8  # side of a thumbnail in pixels, thumbnails per row
_COLOURS = {"true": (0, 200, 0), "predicted": (255, 60, 60)}


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Join rows of equally large RGB pictures (H, W, 3), with white lines of 2 pixels between them.

    Every row must have the same number of pictures.
    """
    padded = [
        np.concatenate([np.pad(p, ((0, 2), (0, 2), (0, 0)), constant_values=255) for p in row], 1)
        for row in rows
    ]
    return np.concatenate(padded, axis=0)


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """The central square of a picture (H, W, 3), resized to 160 x 160 pixels."""
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
    """A copy of a picture at twice its size, with landmarks drawn in.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) pixels of `image` by kind: 'true' (drawn green) or 'predicted' (red).
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, points in landmarks.items():
        for x, y in (points + 0.5) * 2 - 0.5:
            centre = (round(float(x)), round(float(y)))
            cv2.circle(drawn, centre, 1, _COLOURS[kind], -1, cv2.LINE_AA)
    return drawn


def with_outlines(image: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """A copy of a picture at twice its size, with the outlines of masks drawn in.

    Args:
        image: (H, W, 3) uint8 RGB.
        masks: (H, W) bool by kind: 'true' (drawn green) or 'predicted' (red).
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, mask in masks.items():
        large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, _COLOURS[kind], 1)
    return drawn


def captioned(image: np.ndarray, text: str) -> np.ndarray:
    """A copy of an RGB picture (H, W, 3) with a short white caption on a dark line at its foot."""
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
