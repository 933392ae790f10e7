"""Hole-weighted L1 over valid pixels (Liu et al. 2018, equation 4)."""

from torch import Tensor


def masked_l1(predicted: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error of each face, averaged over the faces.

    Each face counts alike, so that the loss of a batch is the mean of its parts' losses.

    Args:
        predicted, true: (N, C, H, W).
        weight: (N, 1, H, W), at least 0; pixels of weight 0 do not count.

    Returns:
        Scalar, at least 0; a face of which no pixel counts adds 0.
    """
    total = ((predicted - true).abs() * weight).sum(dim=(1, 2, 3))
    return (total / (weight.sum(dim=(1, 2, 3)) * predicted.shape[1]).clamp_min(1.0)).mean()
