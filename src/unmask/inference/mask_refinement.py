"""What segmentation did not see of a mask: pieces it missed, and what the frame cuts off.

Missed pieces are told from skin and hair by their colours (Rother, Kolmogorov & Blake, "GrabCut",
SIGGRAPH 2004, as OpenCV computes it); for a mask that the canonical frame cuts off there are wider
frames.
"""

import cv2
import numpy as np

from unmask.config.restore import Border, MissedPieces, Widening
from unmask.geometry.frame import chained, invert, move_points, resized, warp
from unmask.geometry.morphology import grown


def add_missed_pieces(
    crop: np.ndarray, probability: np.ndarray, settings: MissedPieces
) -> np.ndarray:
    """The probability of mask, 1 on pieces that touch the mask and have its colours.

    A patch of a print at the bridge of the nose or the rim of an N95 is found so. A large
    piece that goes on beyond the reach is something else of the mask's colour, as a coat or hair.

    Args:
        crop: (S, S, 3) uint8 RGB.
        probability: (S, S) float32 in [0, 1], of mask.
        settings: where pieces are looked for, and how large they may be.

    Returns:
        (S, S) float32; the same for the same input.
    """
    side = min(settings.side, len(probability))
    missed = _missed(resized(crop, side), resized(probability, side) > 0.5, settings)
    whole = cv2.resize(missed.astype(np.uint8), probability.shape, interpolation=cv2.INTER_NEAREST)
    return np.where(whole > 0, np.float32(1), probability)


def _missed(crop: np.ndarray, mask: np.ndarray, settings: MissedPieces) -> np.ndarray:
    """The pieces (S, S) bool that a mask (S, S) bool misses."""
    side, nothing = len(mask), np.zeros_like(mask)
    within, away = (
        cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for inner in (mask, ~mask)
    )
    sure = within > max(1, settings.core * side)
    if not sure.any() or mask.mean() > settings.largest_mask:
        return nothing
    labels = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    labels[away <= settings.reach * side] = cv2.GC_PR_BGD
    labels[mask] = cv2.GC_PR_FGD
    labels[sure] = cv2.GC_FGD
    rows, columns = np.nonzero(away <= (settings.reach + settings.background) * side)
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    near = np.ascontiguousarray(labels[part])
    if not (near == cv2.GC_BGD).any():
        return nothing
    everywhere = (0, 0, *near.shape[::-1])  # is not read: the labels say where the mask may be
    # in its default mode each colour model is one Gaussian: nothing is clustered at random
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(
        np.ascontiguousarray(crop[part]),
        near,
        everywhere,
        background,
        foreground,
        settings.iterations,
    )
    alike = nothing.copy()
    alike[part] = (near == cv2.GC_FGD) | (near == cv2.GC_PR_FGD)
    alike &= ~mask
    _, pieces = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    touching = np.unique(pieces[(away <= 1) & alike])
    reaching_beyond = np.unique(pieces[grown(labels == cv2.GC_BGD, 1) & alike])
    large = np.flatnonzero(np.bincount(pieces.ravel()) > settings.largest_piece * mask.sum())
    other = np.intersect1d(reaching_beyond, large)
    return np.isin(pieces, np.setdiff1d(touching, other)) & alike


def wider_frame(
    probability: np.ndarray,
    transform: np.ndarray,
    shape: tuple[int, ...],
    border: Border,
    zoom: float,
) -> np.ndarray | None:
    """The transform to a frame that shows more where the mask is cut off, or None where it is not.

    It is cut off where it comes near a border of the frame beyond which the picture goes on. The
    frame grows about its centre, or away from the border opposite to the one that cuts.

    Args:
        probability: (S, S) float32 in [0, 1], of mask.
        transform: (2, 3) from picture to frame.
        shape: (H, W[, C]) of the picture.
        border: how near it comes, and over how long a stretch.
        zoom: of the wider frame to this one, below 1.

    Returns:
        (2, 3) from picture to the wider frame.
    """
    rows, columns = np.nonzero(probability > 0.5)
    last = len(probability) - 1
    height, width = shape[:2]

    def cut(distance: np.ndarray, along: np.ndarray) -> np.ndarray:
        close = distance <= border.distance * last
        return close & (len(np.unique(along[close])) >= border.stretch * last)

    def goes_on(there: np.ndarray, x: np.ndarray | float, y: np.ndarray | float) -> bool:
        beyond = np.stack(np.broadcast_arrays(x, y), axis=1)[there].astype(np.float64)
        points = move_points(beyond, invert(transform))
        return bool(((points >= 0) & (points <= [width - 1, height - 1])).all(axis=1).any())

    left = goes_on(cut(columns, rows), -1.0, rows)
    right = goes_on(cut(last - columns, rows), last + 1.0, rows)
    bottom = goes_on(cut(last - rows, columns), columns, last + 1.0)
    if not (left or right or bottom):
        return None
    fixed = (last / 2 if left == right else float(last) * left, 0.0 if bottom else last / 2)
    return chained(transform, cv2.getRotationMatrix2D(fixed, 0, zoom))


def next_frame(
    probability: np.ndarray, transform: np.ndarray, shape: tuple[int, ...], settings: Widening
) -> tuple[np.ndarray | None, float]:
    """The wider frame to look at, if any, and how much mask it must show.

    Args:
        probability: (S, S) float32 in [0, 1], of mask.
        transform: (2, 3) from picture to frame.
        shape: (H, W[, C]) of the picture.
        settings: when a mask is cut off, and how much wider the next frame is.

    Returns:
        ((2, 3) from picture to the wider frame or None, area in areas of the present mask).
    """
    for border in (settings.at_border, settings.near_border):
        wider = wider_frame(probability, transform, shape, border, settings.zoom)
        if wider is not None:
            return wider, border.growth
    return None, 0.0


def confirms_mask(
    probability: np.ndarray,
    transform: np.ndarray,
    found: np.ndarray,
    wider: np.ndarray,
    growth: float,
    kept: float,
) -> bool:
    """Whether a wider frame shows the mask found before, and as much of it as it must.

    Args:
        probability: (S, S) float32 in [0, 1], of mask in the frame before.
        transform: (2, 3) from picture to the frame before.
        found: (S, S) float32 in [0, 1], of mask in the wider frame.
        wider: (2, 3) from picture to the wider frame.
        growth: least area of the mask found, in areas of the one before.
        kept: least share of the mask before that the one found covers.
    """
    before = warp(probability, chained(invert(transform), wider), probability.shape, beyond=0) > 0.5
    after = found > 0.5
    same = (before & after).sum() >= kept * before.sum()
    return bool(same and after.sum() >= growth * before.sum())
