"""Structural similarity over a region, and over several scales of a whole picture."""

import numpy as np
import torch
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from unmask.metrics.inputs import PEAK, Array, read_pictures, region_mean

WINDOW = 11  # pixels
SIGMA = 1.5  # pixels
COARSEST_SCALE = 16  # by which the last of the five scales is reduced


def region_ssim(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Return the structural similarity averaged over the region of each picture.

    The similarity map of a Gaussian 11 x 11 window of sigma 1.5, with the picture reflected at
    its border, is averaged over the channels and the region's pixels. Predicted pixels outside the
    region are replaced by the true ones first, so they do not count.
    Computed in float32, right to 1e-4. Source: Wang et al., "Image quality assessment", IEEE TIP
    2004.

    Args:
        predicted: restored pictures, uint8 or float in 0..255, shape (N, H, W, C).
        target: true pictures, same shape and range.
        region: bool (N, H, W), true on the pixels that count.

    Returns:
        float64 (N,), -1..1.

    Raises:
        ValueError: if shapes or ranges are wrong, a side is under 11 pixels, or a picture's
            region is empty.
    """
    predicted, target, region = read_pictures(predicted, target, region)
    if min(target.shape[1:3]) < WINDOW:
        raise ValueError(f"pictures must be at least {WINDOW} pixels a side")
    _, similarity = structural_similarity_index_measure(
        *_composites(predicted, target, region),
        sigma=SIGMA,
        kernel_size=WINDOW,
        data_range=PEAK,
        reduction="none",
        return_full_image=True,
    )
    return region_mean(similarity.double().mean(dim=1).numpy(), region)


def picture_ms_ssim(predicted: Array, target: Array, valid: Array) -> np.ndarray | None:
    """Return the multi-scale structural similarity of each whole picture.

    Five scales with Wang's weights. Predicted pixels that are not valid are replaced by the true
    ones, which counts them as agreement: compare figures on the same pictures only. Source: Wang
    et al., "Multiscale structural similarity", Asilomar 2003.

    Args:
        predicted: restored pictures, uint8 or float in 0..255, shape (N, H, W, C).
        target: true pictures, same shape and range.
        valid: bool (N, H, W), false on padding.

    Returns:
        float64 (N,), 0..1, or None where a side is under 176 pixels, too small for an 11-pixel
        window at the coarsest scale.

    Raises:
        ValueError: if shapes or ranges are wrong or a picture has no valid pixels.
    """
    predicted, target, valid = read_pictures(predicted, target, valid)
    if min(target.shape[1:3]) < WINDOW * COARSEST_SCALE:
        return None
    similarity = multiscale_structural_similarity_index_measure(
        *_composites(predicted, target, valid),
        sigma=SIGMA,
        kernel_size=WINDOW,
        data_range=PEAK,
        reduction="none",
    )
    return similarity.double().numpy()


def _composites(
    predicted: np.ndarray, target: np.ndarray, region: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Restored pictures, true outside the region, and true ones, each float32 (N, C, H, W)."""
    restored = np.where(region[..., None], predicted, target)
    return (
        torch.tensor(restored, dtype=torch.float32).permute(0, 3, 1, 2),
        torch.tensor(target, dtype=torch.float32).permute(0, 3, 1, 2),
    )
