"""The wing loss of landmark regression (Feng et al. 2018, equation 5)."""

import math

import torch
from torch import Tensor


def wing_loss(
    predicted: Tensor, true: Tensor, width: float = 0.10, curvature: float = 0.02
) -> Tensor:
    """Logarithmic near zero, linear further out, so that small errors still matter.

    Args:
        predicted, true: (N, 68, 2) landmarks in units of the inter-ocular distance.
        width: error up to which the loss is logarithmic, in those units.
        curvature: how steep it is at zero; smaller is steeper.

    Returns:
        Scalar mean over all coordinates, at least 0.
    """
    error = (predicted - true).abs()
    near = width * torch.log1p(error / curvature)
    far = error - (width - width * math.log1p(width / curvature))
    return torch.where(error < width, near, far).mean()
