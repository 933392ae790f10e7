"""Perceptual loss (Johnson et al. 2016), perceptual distance and style loss (Gatys et al. 2016)."""

import torch
from torch import Tensor
from torch.nn import functional

from unmask.losses.inpainting.reconstruction import masked_l1

# Of the backbone, strides 8, 16, 32: the two before them prefer a blurred guess to a sharp one.
DISTANCE_LEVELS = (2, 3, 4)


def perceptual_loss(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """Mean over the levels of the L1 between features where pixels count.

    Args:
        predicted, true: features a level, (N, C_i, H_i, W_i).
        weight: (N, 1, H, W) in [0, 1].
    """
    terms = [
        masked_l1(p, t, functional.interpolate(weight, size=p.shape[-2:], mode="area"))
        for p, t in zip(predicted, true, strict=True)
    ]
    return torch.stack(terms).mean()


def perceptual_distances(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """The distance of each pair of pictures, of the form of LPIPS (Zhang et al. 2018): the squared
    one of features scaled to length 1 over the channels, averaged over the places by weight, then
    over the levels.

    Args:
        predicted, true: features of DISTANCE_LEVELS, (N, C_i, H_i, W_i).
        weight: (N, 1, H, W), at least 0; the distance of a pair without weight is 0.

    Returns:
        (N,), 0..4.
    """
    terms = []
    for p, t in zip(predicted, true, strict=True):
        a, b = (functional.normalize(maps.float(), dim=1, eps=1e-6) for maps in (p, t))
        places = functional.adaptive_avg_pool2d(weight, p.shape[-2:])[:, 0]
        apart = ((a - b).square().sum(dim=1) * places).sum(dim=(1, 2))
        terms.append(apart / places.sum(dim=(1, 2)).clamp_min(1e-6))
    return torch.stack(terms).mean(dim=0)


def gram(features: Tensor) -> Tensor:
    """Gram matrix (N, C, C) of features (N, C, H, W), divided by C H W."""
    count, channels, height, width = features.shape
    flat = features.reshape(count, channels, height * width).float()
    return flat @ flat.transpose(1, 2) / (channels * height * width)


def style_loss(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """Mean over the levels of the L1 between Gram matrices of the pixels that count.

    Args:
        predicted, true: features a level, (N, C_i, H_i, W_i).
        weight: (N, 1, H, W) in [0, 1].
    """
    terms = []
    for p, t in zip(predicted, true, strict=True):
        seen = functional.interpolate(weight, size=p.shape[-2:], mode="area")
        terms.append((gram(p * seen) - gram(t * seen)).abs().sum(dim=(1, 2)).mean() / p.shape[1])
    return torch.stack(terms).mean()
