"""Distance of two pictures in the features of a network, over a region."""

from collections.abc import Sequence

import numpy as np
import torch

from unmask.losses.inpainting import perceptual_distances
from unmask.metrics.inputs import Array


def perceptual_distance(
    predicted: Sequence[Array], true: Sequence[Array], weight: Array
) -> np.ndarray:
    """Return the distance of each pair of pictures from their feature maps.

    At each level the feature vectors of both pictures are scaled to length 1 over the channels;
    their squared Euclidean distance is averaged over the positions by weight, and the levels are
    averaged. It is LPIPS (Zhang et al., "The unreasonable effectiveness of deep features as a
    perceptual metric", CVPR 2018) with weight 1 for every channel instead of learned weights.

    Args:
        predicted: for each level, features of the restored pictures, float (N, C, H, W).
        true: for each level, those of the true pictures, same shapes.
        weight: float (N, S, T), 0 or more, of each pixel of the pictures; it is averaged down to
            each level's size.

    Returns:
        float64 (N,), 0..4.

    Raises:
        ValueError: if levels or shapes disagree, a value is not finite, or a picture has no weight.
    """
    weight = torch.as_tensor(weight, dtype=torch.float32)
    restored, truth = (
        [torch.as_tensor(maps, dtype=torch.float32) for maps in levels]
        for levels in (predicted, true)
    )
    if not restored:
        raise ValueError("there must be at least one level of features")
    for a, b in zip(restored, truth, strict=True):
        if a.ndim != 4 or a.shape != b.shape or weight.ndim != 3 or len(a) != len(weight):
            raise ValueError(
                "features must have shapes (N, C, H, W) and the weight (N, S, T), not "
                f"{tuple(a.shape)}, {tuple(b.shape)} and {tuple(weight.shape)}"
            )
        if not (a.isfinite().all() and b.isfinite().all()):
            raise ValueError("features must be finite")
    if not ((weight >= 0).all() and (weight.sum(dim=(1, 2)) > 0).all() and weight.isfinite().all()):
        raise ValueError("weights must be finite and 0 or more, and not all 0 in a picture")
    return perceptual_distances(restored, truth, weight[:, None]).double().numpy()
