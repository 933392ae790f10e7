"""Agreement of a restored picture with the true one inside the hole.

The hole is the true mask's valid pixels. No figure here depends on predicted pixels outside it.
"""

import numpy as np

from unmask.metrics.inputs import Array, read_pictures, region_mean
from unmask.metrics.psnr import PEAK, region_psnr
from unmask.metrics.ssim import region_ssim


def hole_psnr(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Return the peak signal-to-noise ratio over the hole of each picture.

    Arguments, result and errors are those of `region_psnr`, with the hole as the region.
    """
    return region_psnr(predicted, target, region)


def hole_l1(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Return the mean absolute difference over the region of each picture.

    Args:
        predicted: restored pictures, uint8 or float in 0..255, shape (N, H, W, C).
        target: true pictures, same shape and range.
        region: bool (N, H, W), true on the pixels that count.

    Returns:
        float64 (N,), 0..1, as a share of the range 255.

    Raises:
        ValueError: if shapes or ranges are wrong or a picture's region is empty.
    """
    predicted, target, region = read_pictures(predicted, target, region)
    return region_mean(np.abs(predicted - target).mean(axis=-1), region) / PEAK


def hole_ssim(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Return the structural similarity averaged over the region of each picture.

    A window that reaches out of the region sees the true picture there.

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
    return region_ssim(predicted, target, region)
