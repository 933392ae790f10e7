"""Hole-weighted L1 over valid pixels (Liu et al. 2018, equation 4)."""

from torch import Tensor


def masked_l1(predicted: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error.

    Args:
        predicted, true: (N, C, H, W).
        weight: (N, 1, H, W), at least 0; pixels of weight 0 do not count.

    Returns:
        Scalar, at least 0; 0 where no pixel counts.
    """
    total = ((predicted - true).abs() * weight).sum()
    return total / (weight.sum() * predicted.shape[1]).clamp_min(1.0)
