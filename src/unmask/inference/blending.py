"""Blending of a restored crop into the picture it was cut from.

Resampling takes some of its fine detail, and inpainting leaves the camera's grain out: the hole is
sharpened as its surroundings were blurred, and gets their grain.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from unmask.config.restore import Blending
from unmask.geometry.frame import chained, invert, move_points, scale_of, warp
from unmask.geometry.morphology import grown

_SIGMA = 1.0  # pixels, of the Gaussian that separates fine detail
_WHITE = 0.8725  # standard deviation of the fine detail of white noise whose own is 1
_FEWEST = 50  # pixels around a hole, to measure on
_LEAST_BAND = 2.0  # pixels


def high_pass(picture: np.ndarray) -> np.ndarray:
    """The fine detail of a picture (H, W[, C]) float32, of the same shape."""
    return picture - cv2.GaussianBlur(picture, (0, 0), _SIGMA)


def match_sharpness(
    filled: np.ndarray, picture: np.ndarray, hole: np.ndarray, around: np.ndarray, most: float
) -> np.ndarray:
    """Sharpen the hole of a resampled crop as much as resampling blurred its surroundings.

    Around the hole the crop shows what the picture shows, resampled twice.

    Args:
        filled: (H, W, 3) float32 in 0..255, the crop brought back into the picture.
        picture: (H, W, 3) uint8, the picture given.
        hole: (H, W) bool.
        around: (H, W) bool, where both show the same.
        most: times that fine detail is amplified, at most.

    Returns:
        (H, W, 3) float32, changed in the hole and nowhere else.
    """
    if around.sum() < _FEWEST:
        return filled
    detail = high_pass(filled)
    left = np.abs(detail[around]).mean()
    if left == 0:
        return filled
    lost = np.abs(high_pass(picture.astype(np.float32))[around]).mean() / left
    return filled + np.where(hole[..., None], (np.clip(lost, 1, most) - 1) * detail, 0)


def estimate_grain(picture: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation of a picture's grain in grey levels, robust against edges.

    Args:
        picture: (H, W, 3) uint8 or float32 in 0..255.
        where: (H, W) bool, the pixels that count.

    Returns:
        0 where the pixels are too few to estimate it.
    """
    if where.sum() < _FEWEST:
        return 0.0
    grey = cv2.transform(picture.astype(np.float32), np.full((1, 3), 1 / 3))
    detail = high_pass(grey)[where]
    return float(1.4826 * np.median(np.abs(detail - np.median(detail))) / _WHITE)


def match_grain(
    filled: np.ndarray,
    picture: np.ndarray,
    hole: np.ndarray,
    around: np.ndarray,
    settings: Blending,
) -> np.ndarray:
    """Add a share of the grain that a hole lacks, compared with its surroundings.

    Args:
        filled: (H, W, 3) float32 in 0..255.
        picture: (H, W, 3) uint8, the picture given.
        hole: (H, W) bool.
        around: (H, W) bool, the surroundings.
        settings: the share, and the strongest grain.

    Returns:
        (H, W, 3) float32, changed in the hole and nowhere else; the same for the same input.
    """
    lacking = estimate_grain(picture, around) ** 2 - estimate_grain(filled, hole) ** 2
    if lacking <= 0:
        return filled
    strength = min(settings.grain * lacking**0.5, settings.strongest_grain)
    noise = np.random.default_rng(0).normal(0, strength, hole.shape).astype(np.float32)
    return filled + np.where(hole, noise, 0)[..., None]


def frame_hole(probability: np.ndarray, filled: float) -> np.ndarray:
    """The hole to fill (S, S) bool: where the mask is more likely than not, and a rim around it.

    Args:
        probability: (S, S) float32 in [0, 1], of mask.
        filled: width of the rim in sides of the frame; at least 1 pixel is taken.
    """
    return grown(probability > 0.5, max(1, round(filled * len(probability))))


@dataclass(frozen=True)
class Pasted:
    """A picture (H, W, 3) uint8, and the hole that was filled, bool (H, W)."""

    picture: np.ndarray
    hole: np.ndarray


def _warp_back(values: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values (S, S) of the crop in the picture (H, W), 0 beyond the crop."""
    return warp(values, invert(transform), (shape[1], shape[0]), beyond=0)


def picture_mask(
    probability: np.ndarray, transform: np.ndarray, shape: tuple[int, ...], settings: Blending
) -> np.ndarray:
    """The mask in a picture, bool (H, W).

    A pixel is mask where the mask covers any of it, which of a frame's pixels at its edge is
    likelier than of the finer ones of a picture.

    Args:
        probability: (S, S) float32 in [0, 1], of mask in the crop.
        transform: (2, 3) from picture to crop.
        shape: (H, W[, C]) of the picture.
        settings: the probability from which on a finer pixel is mask.
    """
    least = settings.coverage if scale_of(transform) > settings.finer else 0.5
    return _warp_back(probability, transform, shape) > least


def _shown_part(transform: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a picture (H, W[, C]) around the frame of a side in pixels."""
    last = side - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]], float)
    points = move_points(corners, invert(transform))
    first, end = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    columns, rows = (
        slice(min(max(low - 1, 0), length), max(high + 2, 0))
        for low, high, length in zip(first, end, (shape[1], shape[0]), strict=True)
    )
    return rows, columns


def paste_back(
    picture: np.ndarray,
    filled: np.ndarray,
    probability: np.ndarray,
    transform: np.ndarray,
    settings: Blending,
) -> Pasted:
    """Replace the hole of a picture by the restored crop and blend in a narrow band around it.

    The hole gets the fine detail and the grain of the picture around it.

    Args:
        picture: (H, W, 3) uint8 RGB.
        filled: (S, S, 3) uint8 RGB, the restored crop; it equals the crop outside its hole.
        probability: (S, S) float32 in [0, 1], of mask.
        transform: (2, 3) from picture to crop.
        settings: widths, sharpening and grain.

    Returns:
        The picture; each pixel further from the hole than the band equals the one given.
    """
    pasted = Pasted(picture.copy(), np.zeros(picture.shape[:2], bool))
    rows, columns = _shown_part(transform, len(probability), picture.shape)
    picture = picture[rows, columns]
    if not picture.size:
        return pasted
    transform = chained(np.array([[1.0, 0, columns.start], [0, 1, rows.start]]), transform)
    shape = picture.shape
    unit = len(probability) * scale_of(transform)  # the frame's side in picture pixels
    rim = max(1, round(settings.replaced * unit))
    hole = grown(_warp_back(probability, transform, shape) > 0.5, rim)
    inside = _warp_back(np.ones_like(probability), transform, shape) > 0.999
    hole &= inside
    if not hole.any():
        return pasted
    size = shape[1], shape[0]
    crop = warp(filled, invert(transform), size, None, cv2.INTER_CUBIC).astype(np.float32)
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near, far = settings.surroundings
    around = inside & (distance > near * unit) & (distance < far * unit)
    crop = match_sharpness(crop, picture, hole, around, settings.sharpening)
    crop = match_grain(crop, picture, hole, around, settings).clip(0, 255)
    band = max(_LEAST_BAND, settings.band * unit)
    alpha = np.where(distance > band, 0, 1 - distance / (band + 1))[..., None]
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    alpha *= (within / max(_LEAST_BAND, settings.fade * unit)).clip(0, 1)[..., None]
    blended = np.rint(picture + alpha * (crop - picture)).astype(np.uint8)
    pasted.picture[rows, columns] = np.where(alpha > 0, blended, picture)
    pasted.hole[rows, columns] = hole
    return pasted
