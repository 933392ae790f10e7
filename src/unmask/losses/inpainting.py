"""Losses of the inpainting GAN.

Hole-weighted L1 (Liu et al. 2018, equation 4), perceptual loss (Johnson et al. 2016) and distance
(of the form of LPIPS, Zhang et al. 2018), style loss (Gatys et al. 2016), hinge adversarial loss
(Lim & Ye 2017), feature matching (Wang et al. 2018, pix2pixHD), and the Kullback-Leibler divergence
of the latent's posterior (Kingma & Welling 2014, appendix B) with free bits (Kingma et al. 2016,
"Improving variational inference with inverse autoregressive flow").
"""

import torch
from torch import Tensor
from torch.nn import functional


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


def kl_divergence(mean: Tensor, log_variance: Tensor, free: float = 0.0) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats beyond what is free, summed over z.

    Args:
        mean, log_variance: (N, Z).
        free: nats of each number of z.

    Returns:
        (N,), at least 0.
    """
    nats = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return (nats - free).clamp_min(0).sum(dim=1)
