"""Hinge adversarial loss (Lim & Ye 2017) and feature matching (Wang et al. 2018, pix2pixHD)."""

import torch
from torch import Tensor
from torch.nn import functional


def _where(score: Tensor, hole: Tensor) -> Tensor:
    """1 for patches that see hole, else 0, at the score's size."""
    return functional.adaptive_max_pool2d(hole, score.shape[-2:])


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each face, averaged over the faces."""
    every = (1, 2, 3)
    return ((values * weight).sum(every) / weight.sum(every).clamp_min(1.0)).mean()


def discriminator_loss(real: Tensor, fake: Tensor, hole: Tensor) -> Tensor:
    """Hinge loss over the patches that see hole.

    Args:
        real, fake: (N, 1, h, w) patch logits of true and filled faces.
        hole: (N, 1, H, W), 1 in the hole.
    """
    weight = _where(real, hole)
    return _mean(functional.relu(1 - real), weight) + _mean(functional.relu(1 + fake), weight)


def generator_loss(fake: Tensor, hole: Tensor) -> Tensor:
    """Minus the mean logit of filled faces over the patches that see hole."""
    return -_mean(fake, _where(fake, hole))


def feature_matching_loss(real: list[Tensor], fake: list[Tensor], hole: Tensor) -> Tensor:
    """Mean L1 between the discriminator's features of true and filled faces, layer by layer, over
    the patches that see hole.

    Args:
        real, fake: features a layer, (N, C_i, H_i, W_i).
        hole: (N, 1, H, W), 1 in the hole.
    """
    terms = [
        _mean((r.detach() - f).abs().mean(dim=1, keepdim=True).float(), _where(f, hole))
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()
