"""What segmentation did not see of a mask: pieces it missed, and what the frame cuts off.

Missed pieces are told from skin and hair by their colours (Rother, Kolmogorov & Blake, "GrabCut",
SIGGRAPH 2004, as OpenCV computes it); a mask that the canonical frame cuts off is followed to a
frame that shows more of it.
"""

import cv2
import numpy as np

from unmask.geometry.frame import chained, invert, move_points, warp
from unmask.geometry.morphology import grown

# of the frame's side: how far from the mask pieces are looked for, how far beyond that the colours
# of all else are learned, and how far within its edge the mask is sure
_REACH, _ELSEWHERE, _SURE = 0.07, 0.14, 0.02
_LARGEST = 0.8  # of the frame, beyond which too little else is left to learn from
_LARGEST_PIECE = 0.1  # of the mask, where it goes on beyond the reach
_ROUNDS = 2

WIDENINGS = 7
_WIDENED = 0.89
_KEPT = 0.8  # of a mask, in a wider frame
# What cuts a mask off: of the frame's side, how near a border it comes, over how long a stretch;
# and what a wider frame must show of it, in areas of what was seen.
_AT_BORDER = (0.02, 0.0, 0.0)
_BROADLY_NEAR = (0.06, 0.15, 1.02)


def with_missed_pieces(crop: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The probability of mask, 1 on pieces that touch the mask and have its colours.

    A patch of a print at the bridge of the nose or the rim of an N95 is found so. A large
    piece that goes on beyond the reach is something else of the mask's colour, as a coat or hair.

    Args:
        crop: (S, S, 3) uint8 RGB.
        probability: (S, S) float32 in [0, 1], of mask.

    Returns:
        (S, S) float32; the same for the same input.
    """
    side, mask = len(probability), probability > 0.5
    sure = grown(mask, -max(1, round(_SURE * side)))
    if not sure.any() or mask.mean() > _LARGEST:
        return probability
    labels = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    labels[grown(mask, round(_REACH * side))] = cv2.GC_PR_BGD
    labels[mask] = cv2.GC_PR_FGD
    labels[sure] = cv2.GC_FGD
    rows, columns = np.nonzero(grown(mask, round((_REACH + _ELSEWHERE) * side)))
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    near = np.ascontiguousarray(labels[part])
    if not (near == cv2.GC_BGD).any():
        return probability
    cv2.setRNGSeed(0)  # its colour models start from a random clustering
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(crop[part]), near, None, *models, _ROUNDS)
    alike = np.zeros_like(mask)
    alike[part] = (near == cv2.GC_FGD) | (near == cv2.GC_PR_FGD)
    alike &= ~mask
    _, pieces = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    touching = np.unique(pieces[grown(mask, 1) & alike])
    going_on = np.unique(pieces[grown(labels == cv2.GC_BGD, 1) & alike])
    large = np.flatnonzero(np.bincount(pieces.ravel()) > _LARGEST_PIECE * mask.sum())
    other = np.intersect1d(going_on, large)
    missed = np.isin(pieces, np.setdiff1d(touching, other)) & alike
    return np.where(missed, np.float32(1), probability)


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
