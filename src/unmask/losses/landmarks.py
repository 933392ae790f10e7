"""The wing loss of landmark regression (Feng et al. 2018, equation 5)."""

import math

import torch
from torch import Tensor


def wing_loss(
    predicted: Tensor, true: Tensor, width: float = 0.10, curvature: float = 0.02
) -> Tensor:
    """Mean wing loss: logarithmic near zero, so that small errors still matter, linear beyond.

    Args:
        predicted: (N, 68, 2) landmarks in units of the inter-ocular distance.
        true: (N, 68, 2), likewise.
        width: error up to which the loss is logarithmic, in those units, above 0.
        curvature: the slope at zero is width / curvature; in those units, above 0.

    Returns:
        Scalar mean over all coordinates, at least 0.
    """
    error = (predicted - true).abs()
    near = width * torch.log1p(error / curvature)
    far = error - (width - width * math.log1p(width / curvature))
    return torch.where(error < width, near, far).mean()
