"""Overlap of predicted and true mask segmentations."""

import numpy as np
import torch
from torch.nn import functional

from unmask.metrics.inputs import Array, read_mask_pair

BAND_SHARE_OF_DIAGONAL = 0.02  # width of the boundary band


def mask_iou(predicted: Array, true: Array) -> np.ndarray:
    """Return the intersection over union of each pair of masks.

    Args:
        predicted: bool (N, H, W).
        true: bool (N, H, W).

    Returns:
        float64 (N,), 0..1; 1 where both masks are empty.

    Raises:
        ValueError: if a mask is not boolean or the shapes differ.
    """
    predicted, true = read_mask_pair(predicted, true)
    intersection = (predicted & true).sum(axis=(1, 2))
    union = (predicted | true).sum(axis=(1, 2))
    return np.divide(intersection, union, out=np.ones(len(true)), where=union > 0)


def boundary_iou(predicted: Array, true: Array) -> np.ndarray:
    """Return the intersection over union of the inner boundary bands of each pair of masks.

    The band holds the mask pixels at most d pixels (chessboard distance) from the background,
    d = 2 % of the picture's diagonal, rounded, at least 1; the outside of the picture counts as
    background. Source: Cheng et al., "Boundary IoU", CVPR 2021.

    Args:
        predicted: bool (N, H, W).
        true: bool (N, H, W).

    Returns:
        float64 (N,), 0..1; 1 where both masks are empty.

    Raises:
        ValueError: if a mask is not boolean or the shapes differ.
    """
    predicted, true = read_mask_pair(predicted, true)
    width = max(1, round(BAND_SHARE_OF_DIAGONAL * float(np.hypot(*true.shape[1:]))))
    return mask_iou(_inner_band(predicted, width), _inner_band(true, width))


def _inner_band(masks: np.ndarray, width: int) -> np.ndarray:
    """Pixels of masks (N, H, W) bool at most `width` pixels from the background."""
    background = functional.pad(torch.tensor(~masks, dtype=torch.float32), [width] * 4, value=1)
    side = 2 * width + 1
    rows = functional.max_pool2d(background, (side, 1), stride=1)
    near_background = functional.max_pool2d(rows, (1, side), stride=1).numpy() > 0
    return masks & near_background
