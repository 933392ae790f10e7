"""Losses of the inpainting GAN.

Hole-weighted L1 (Liu et al. 2018, equation 4), perceptual loss (Johnson et al. 2016), perceptual
distance (after LPIPS, Zhang et al. 2018), style loss (Gatys et al. 2016), hinge adversarial loss
(Lim & Ye 2017), feature matching (Wang et al. 2018, pix2pixHD), and the Kullback-Leibler divergence
of the latent's posterior (Kingma & Welling 2014, appendix B) with free bits (Kingma et al. 2016,
"Improving variational inference with inverse autoregressive flow").
"""

import torch
from torch import Tensor
from torch.nn import functional


def masked_l1(predicted: Tensor, true: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean absolute error of each face, averaged over the faces.

    Every face counts the same, whatever the size of its hole, so that the loss of a batch is the
    mean of the losses of its parts.

    Args:
        predicted: (N, C, H, W).
        true: (N, C, H, W).
        weight: (N, 1, H, W), at least 0; pixels of weight 0 are ignored.

    Returns:
        Scalar, at least 0; a face whose weights are all 0 adds 0.
    """
    total = ((predicted - true).abs() * weight).sum(dim=(1, 2, 3))
    return (total / (weight.sum(dim=(1, 2, 3)) * predicted.shape[1]).clamp_min(1.0)).mean()


#: Backbone levels of the perceptual distance, strides 8, 16 and 32; the two finer ones rate a
#: blurred guess better than a sharp one.
DISTANCE_LEVELS = (2, 3, 4)


def perceptual_loss(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """L1 between feature maps, weighted by pixel and averaged over the levels.

    Args:
        predicted: feature maps per level, (N, C_i, H_i, W_i).
        true: feature maps per level, same shapes.
        weight: (N, 1, H, W) in [0, 1]; averaged down to each level's size.

    Returns:
        Scalar, at least 0.
    """
    terms = [
        masked_l1(p, t, functional.interpolate(weight, size=p.shape[-2:], mode="area"))
        for p, t in zip(predicted, true, strict=True)
    ]
    return torch.stack(terms).mean()


def perceptual_distances(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """Perceptual distance of each pair of pictures, after LPIPS (Zhang et al. 2018).

    At each level the feature vectors of both pictures are scaled to length 1 over the channels;
    their squared distance is averaged over the positions by weight. The mean over the levels is
    the distance.

    Args:
        predicted: feature maps per level, DISTANCE_LEVELS of the backbone, (N, C_i, H_i, W_i).
        true: feature maps per level, same shapes.
        weight: (N, 1, H, W), at least 0; averaged down to each level's size.

    Returns:
        (N,), 0..4; 0 for a pair whose weights are all 0.
    """
    terms = []
    for p, t in zip(predicted, true, strict=True):
        a, b = (functional.normalize(maps.float(), dim=1, eps=1e-6) for maps in (p, t))
        height, width = p.shape[-2:]
        weights = functional.adaptive_avg_pool2d(weight, (height, width))[:, 0]
        total = ((a - b).square().sum(dim=1) * weights).sum(dim=(1, 2))
        terms.append(total / weights.sum(dim=(1, 2)).clamp_min(1e-6))
    return torch.stack(terms).mean(dim=0)


def gram(features: Tensor) -> Tensor:
    """Gram matrix (N, C, C) of features (N, C, H, W), divided by C H W."""
    count, channels, height, width = features.shape
    flat = features.reshape(count, channels, height * width).float()
    return flat @ flat.transpose(1, 2) / (channels * height * width)


def style_loss(predicted: list[Tensor], true: list[Tensor], weight: Tensor) -> Tensor:
    """L1 between Gram matrices of weighted feature maps, averaged over the levels.

    Args:
        predicted: feature maps per level, (N, C_i, H_i, W_i).
        true: feature maps per level, same shapes.
        weight: (N, 1, H, W) in [0, 1]; averaged down to each level's size.

    Returns:
        Scalar, at least 0.
    """
    terms = []
    for p, t in zip(predicted, true, strict=True):
        weights = functional.interpolate(weight, size=p.shape[-2:], mode="area")
        difference = gram(p * weights) - gram(t * weights)
        terms.append(difference.abs().sum(dim=(1, 2)).mean() / p.shape[1])
    return torch.stack(terms).mean()


def _hole_patches(hole: Tensor, maps: Tensor) -> Tensor:
    """(N, 1, h, w): 1 where the patch behind `maps` (N, C, h, w) holds a hole pixel, else 0."""
    return functional.adaptive_max_pool2d(hole, maps.shape[-2:])


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each face, averaged over the faces; both are (N, 1, h, w)."""
    every = (1, 2, 3)
    return ((values * weight).sum(every) / weight.sum(every).clamp_min(1.0)).mean()


def discriminator_loss(real: Tensor, fake: Tensor, hole: Tensor) -> Tensor:
    """Hinge loss of the discriminator over the patches that hold a hole pixel.

    Args:
        real: (N, 1, h, w) patch logits of true faces.
        fake: (N, 1, h, w) patch logits of filled faces.
        hole: (N, 1, H, W), 1 in the hole, else 0.

    Returns:
        Scalar, at least 0.
    """
    weight = _hole_patches(hole, real)
    return _weighted_mean(functional.relu(1 - real), weight) + _weighted_mean(
        functional.relu(1 + fake), weight
    )


def generator_loss(fake: Tensor, hole: Tensor) -> Tensor:
    """Minus the mean logit of filled faces over the patches that hold a hole pixel.

    Args:
        fake: (N, 1, h, w) patch logits of filled faces.
        hole: (N, 1, H, W), 1 in the hole, else 0.

    Returns:
        Scalar of either sign.
    """
    return -_weighted_mean(fake, _hole_patches(hole, fake))


def feature_matching_loss(real: list[Tensor], fake: list[Tensor], hole: Tensor) -> Tensor:
    """L1 between the discriminator's features of true and filled faces, averaged over the layers.

    Only patches that hold a hole pixel count. No gradient flows into the true faces' features.

    Args:
        real: feature maps of true faces per layer, (N, C_i, H_i, W_i).
        fake: feature maps of filled faces per layer, same shapes.
        hole: (N, 1, H, W), 1 in the hole, else 0.

    Returns:
        Scalar, at least 0.
    """
    terms = [
        _weighted_mean(
            (r.detach() - f).abs().mean(dim=1, keepdim=True).float(), _hole_patches(hole, f)
        )
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor, free: float = 0.0) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)), less the free nats, summed over the latent.

    Args:
        mean: (N, Z).
        log_variance: (N, Z).
        free: nats per component of the latent that cost nothing, at least 0.

    Returns:
        (N,) nats, at least 0.
    """
    nats = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return (nats - free).clamp_min(0).sum(dim=1)
