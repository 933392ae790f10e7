"""Agreement and sharpness of restored pictures over a region: the hole, or all valid pixels.

No figure here depends on predicted pixels outside the region. A mean error rewards blur: where what
is hidden cannot be known, the mean of all plausible pictures has the least. Sharpness distinguishes
a blurred restoration from a sharp one, wherever its detail is.
"""

import cv2
import numpy as np

from unmask.metrics.inputs import PEAK, Array, read_pictures, region_mean, to_numpy

BEST_PSNR = 60.0  # dB, which PSNRs are capped at before they are averaged: a match is infinite
FRAME = 256  # side in pixels of the frame whose scale is 1; its eyes are 77 pixels apart
BOX_RADIUS = 4  # pixels of that frame: a box of 9 x 9


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


def region_l1(predicted: Array, target: Array, region: Array) -> np.ndarray:
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


def region_detail(pictures: Array, region: Array, scale: Array) -> np.ndarray:
    """Return the mean high-pass energy over the inner region of each picture.

    It is the mean of |x - mean of x over a box around it| over the channels and the pixels of the
    region, less a margin of 1.5 box radii from its border, so that no pixel outside the region is
    read. The box's radius is 4 pixels times `scale`, rounded, at least 1: the box covers the same
    part of a face at every resolution.

    Args:
        pictures: uint8 or float in 0..255, shape (N, H, W, C).
        region: bool (N, H, W), true on the pixels that count.
        scale: (N,), above 0: the picture's pixels per pixel of a frame of side FRAME.

    Returns:
        float64 (N,), in grey levels, 0..255; 0 where the region is thinner than the margins, so
        that this picture adds nothing to `sharpness`.

    Raises:
        ValueError: if shapes or ranges are wrong, a picture's region is empty, or a scale is not
            finite and positive.
    """
    pictures, _, region = read_pictures(pictures, pictures, region)
    scale = to_numpy(scale)
    if scale.shape != (len(pictures),) or not np.all(np.isfinite(scale) & (scale > 0)):
        raise ValueError(f"scale must hold {len(pictures)} finite positive numbers, not {scale}")
    return np.array([_detail(*face) for face in zip(pictures, region, scale, strict=True)])


def _detail(picture: np.ndarray, region: np.ndarray, scale: float) -> float:
    radius = max(1, round(BOX_RADIUS * float(scale)))
    margin = radius + -(-radius // 2)
    around = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    inner = cv2.erode(region.astype(np.uint8), around, borderType=cv2.BORDER_CONSTANT) > 0
    if not inner.any():
        return 0.0
    box = (2 * radius + 1, 2 * radius + 1)
    smooth = cv2.blur(picture, box).reshape(picture.shape)
    return float(np.abs(picture - smooth)[inner].mean())


def sharpness(predicted: Array, true: Array) -> float:
    """Return the high-pass energy of restored holes as a share of the true ones'.

    The energies of all faces are summed before they are divided: a mean of each face's own ratio
    would be dominated by the few true faces that are out of focus.

    Args:
        predicted: `region_detail` of the restored pictures, (N,).
        true: `region_detail` of the true pictures, (N,).

    Returns:
        0 or more: 1 as sharp as the truth, less where blurred, more where noisy. NaN where the
        true holes have no detail at all, so that there is nothing to compare with.

    Raises:
        ValueError: if the shapes differ, or a value is negative or not finite.
    """
    predicted, true = (to_numpy(d).astype(np.float64) for d in (predicted, true))
    if predicted.ndim != 1 or predicted.shape != true.shape:
        raise ValueError(f"details must have one shape (N,), not {predicted.shape}, {true.shape}")
    if not all(np.all(np.isfinite(d) & (d >= 0)) for d in (predicted, true)):
        raise ValueError("details must be finite and 0 or more")
    return float(predicted.sum() / true.sum()) if true.sum() > 0 else float("nan")
