"""Peak signal-to-noise ratio over a region, and over a whole picture."""

import numpy as np

from unmask.metrics.inputs import Array, read_pictures, region_mean

PEAK = 255.0


def region_psnr(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Return the peak signal-to-noise ratio over the region of each picture.

    Args:
        predicted: restored pictures, uint8 or float in 0..255, shape (N, H, W, C).
        target: true pictures, same shape and range.
        region: bool (N, H, W), true on the pixels that count.

    Returns:
        float64 (N,), in dB; positive infinity where the region agrees exactly.

    Raises:
        ValueError: if shapes or ranges are wrong or a picture's region is empty.
    """
    predicted, target, region = read_pictures(predicted, target, region)
    squared_error = region_mean(((predicted - target) ** 2).mean(axis=-1), region)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(PEAK**2 / squared_error)


def picture_psnr(predicted: Array, target: Array, valid: Array) -> np.ndarray:
    """Return the peak signal-to-noise ratio over all valid pixels of each picture.

    This is the figure that papers report: pixels that no mask hid count too. Arguments, result
    and errors are those of `region_psnr`, with the valid pixels as the region.
    """
    return region_psnr(predicted, target, valid)
