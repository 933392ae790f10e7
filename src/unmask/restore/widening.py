"""Following a mask that the canonical frame cuts off, to a frame that shows more of it."""

import cv2
import numpy as np

from unmask.faces.frame import chained, invert, move_points, warp

WIDENINGS = 7
_WIDENED = 0.89
_KEPT = 0.8  # of a mask, in a wider frame
# What cuts a mask off: of the frame's side, how near a border it comes, over how long a stretch;
# and what a wider frame must show of it, in areas of what was seen.
_AT_BORDER = (0.02, 0.0, 0.0)
_BROADLY_NEAR = (0.06, 0.15, 1.02)


def wider_frame(
    probability: np.ndarray,
    transform: np.ndarray,
    shape: tuple[int, ...],
    near: float = _AT_BORDER[0],
    stretch: float = _AT_BORDER[1],
) -> np.ndarray | None:
    """The transform to a frame that shows more where the mask is cut off, or None where it is not.

    It is cut off where it comes near a border of the frame beyond which the picture goes on. The
    frame grows about its centre, or away from the border opposite to the one that cuts.

    Args:
        near, stretch: how near, and over how long a stretch, in sides of the frame.
    """
    rows, columns = np.nonzero(probability > 0.5)
    last = len(probability) - 1
    height, width = shape[:2]

    def cut(distance: np.ndarray, along: np.ndarray) -> np.ndarray:
        close = distance <= near * last
        return close & (len(np.unique(along[close])) >= stretch * last)

    def goes_on(there: np.ndarray, x: np.ndarray | float, y: np.ndarray | float) -> bool:
        beyond = np.stack(np.broadcast_arrays(x, y), axis=1)[there].astype(np.float64)
        seen = move_points(beyond, invert(transform))
        return bool(((seen >= 0) & (seen <= [width - 1, height - 1])).all(axis=1).any())

    left = goes_on(cut(columns, rows), -1.0, rows)
    right = goes_on(cut(last - columns, rows), last + 1.0, rows)
    bottom = goes_on(cut(last - rows, columns), columns, last + 1.0)
    if not (left or right or bottom):
        return None
    fixed = (last / 2 if left == right else float(last) * left, 0.0 if bottom else last / 2)
    return chained(transform, cv2.getRotationMatrix2D(fixed, 0, _WIDENED))


def next_frame(
    probability: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, float]:
    """The wider frame to look at, if any, and how much mask it must show."""
    for near, stretch, least in (_AT_BORDER, _BROADLY_NEAR):
        wider = wider_frame(probability, transform, shape, near, stretch)
        if wider is not None:
            return wider, least
    return None, 0.0


def shows_more(
    probability: np.ndarray,
    transform: np.ndarray,
    found: np.ndarray,
    wider: np.ndarray,
    least: float,
) -> bool:
    """Whether what is found in a wider frame is the mask found before, and `least` times as much
    or more."""
    before = warp(probability, chained(invert(transform), wider), probability.shape, beyond=0) > 0.5
    after = found > 0.5
    same = (before & after).sum() >= _KEPT * before.sum()
    return bool(same and after.sum() >= least * before.sum())
