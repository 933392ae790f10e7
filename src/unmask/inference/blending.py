"""Bringing a restored crop back into the picture it was cut from.

What resampling takes of its fine detail is given back, and it gets the camera's grain, which the
skin around the hole has and what fills it lacks.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from unmask.geometry.frame import invert, scale_of, warp
from unmask.geometry.morphology import grown

_SIGMA = 1.0  # pixels; finer than this is detail
_MOST = 1.5  # times
_FEWEST = 50  # pixels, around a hole, to tell from
_WHITE = 0.8725  # standard deviation that white noise of 1 keeps of its detail
_STRONGEST = 4.0  # grey levels
_SHARE = 0.5  # of the grain that lacks: a camera's is smoother than noise, which looks coarser
# of the frame's side: how far beyond the mask pixels are filled, replaced and then blended
_FILLED, _REPLACED, _BLENDED = 0.02, 0.01, 0.01
_NEAR, _AROUND = 0.02, 0.2  # of the frame's side: how far from the hole its surroundings lie
_FADED = 0.05  # of the frame's side, over which a hole that the frame cuts off fades out
# A pixel is mask where the mask covers any of it, which of a frame's pixels at its edge is likelier
# than of the finer ones of a picture: 0.575 gives the best IoU there, 0.964 for 0.961 on val faces.
_COVERED, _FINER = 0.575, 1.1


def fine_detail(picture: np.ndarray) -> np.ndarray:
    """What a picture (H, W[, C]) float32 shows beyond its blur, of the same shape."""
    return picture - cv2.GaussianBlur(picture, (0, 0), _SIGMA)


def regained(
    filled: np.ndarray, picture: np.ndarray, hole: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """A resampled crop whose hole has as much more fine detail as the picture has around it.

    Around the hole the crop shows what the picture shows, resampled twice. On 40 sharp val faces a
    restored hole has 0.80 of the true one's sharpness by it, else 0.74.

    Args:
        filled: (H, W, 3) float32 in 0..255, the crop brought back into the picture.
        picture: (H, W, 3) uint8, the picture given.
        hole: (H, W) bool.
        around: (H, W) bool, where both show the same.

    Returns:
        (H, W, 3) float32, changed in the hole and nowhere else.
    """
    if around.sum() < _FEWEST:
        return filled
    detail = fine_detail(filled)
    left = np.abs(detail[around]).mean()
    if left == 0:
        return filled
    lost = np.abs(fine_detail(picture.astype(np.float32))[around]).mean() / left
    return filled + np.where(hole[..., None], (np.clip(lost, 1, _MOST) - 1) * detail, 0)


def grain_of(picture: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation of a picture's finest luma, in grey levels; edges hardly count.

    Args:
        picture: (H, W, 3) uint8 or float32 in 0..255.
        where: (H, W) bool, the pixels that count; 0 where they are too few to tell.
    """
    if where.sum() < _FEWEST:
        return 0.0
    detail = fine_detail(picture.astype(np.float32).mean(axis=2))[where]
    return float(1.4826 * np.median(np.abs(detail - np.median(detail))) / _WHITE)


def grained(
    filled: np.ndarray, picture: np.ndarray, hole: np.ndarray, around: np.ndarray
) -> np.ndarray:
    """What fills a hole, with grain like that of the picture around it, half as strong.

    Args:
        filled: (H, W, 3) float32 in 0..255.
        picture: (H, W, 3) uint8, the picture given.
        hole: (H, W) bool.
        around: (H, W) bool, whose grain it gets.

    Returns:
        (H, W, 3) float32, changed in the hole and nowhere else; the same for the same input.
    """
    lacking = grain_of(picture, around) ** 2 - grain_of(filled, hole) ** 2
    if lacking <= 0:
        return filled
    strength = min(_SHARE * lacking**0.5, _STRONGEST)
    noise = np.random.default_rng(0).normal(0, strength, hole.shape).astype(np.float32)
    return filled + np.where(hole, noise, 0)[..., None]


def frame_hole(probability: np.ndarray) -> np.ndarray:
    """The hole to fill (S, S) bool: where the mask is more likely than not, and a rim around it."""
    return grown(probability > 0.5, max(1, round(_FILLED * len(probability))))


@dataclass(frozen=True)
class Pasted:
    """A picture (H, W, 3) uint8, and the hole that was filled, bool (H, W)."""

    picture: np.ndarray
    hole: np.ndarray


def _back(values: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values (S, S) of the crop in the picture (H, W), 0 beyond the crop."""
    return warp(values, invert(transform), shape[1::-1], beyond=0)


def picture_mask(
    probability: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """The mask in a picture of `shape`, bool (H, W), from its probability (S, S) in the crop."""
    covered = _COVERED if scale_of(transform) > _FINER else 0.5
    return _back(probability, transform, shape) > covered


def paste_back(
    picture: np.ndarray, filled: np.ndarray, probability: np.ndarray, transform: np.ndarray
) -> Pasted:
    """Replace the hole of a picture by the restored crop and blend in a narrow band around it.

    What fills the hole gets the fine detail and the grain of the picture around it.

    Args:
        picture: (H, W, 3) uint8 RGB.
        filled: (S, S, 3) uint8 RGB, the restored crop; it equals the crop outside its hole.
        probability: (S, S) float32 in [0, 1], of mask.
        transform: (2, 3) from picture to crop.

    Returns:
        The picture; each pixel further from the hole than the band equals the one given.
    """
    shape = picture.shape
    unit = len(probability) * scale_of(transform)  # the frame's side in picture pixels
    hole = grown(_back(probability, transform, shape) > 0.5, max(1, round(_REPLACED * unit)))
    inside = _back(np.ones_like(probability), transform, shape) > 0.999
    hole &= inside
    if not hole.any():
        return Pasted(picture.copy(), hole)
    crop = warp(filled, invert(transform), shape[1::-1], None, cv2.INTER_CUBIC).astype(np.float32)
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    around = inside & (distance > _NEAR * unit) & (distance < _AROUND * unit)
    crop = regained(crop, picture, hole, around)
    crop = grained(crop, picture, hole, around).clip(0, 255)
    band = max(2.0, _BLENDED * unit)
    alpha = np.where(distance > band, 0, 1 - distance / (band + 1))[..., None]
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    alpha *= (within / max(2.0, _FADED * unit)).clip(0, 1)[..., None]
    blended = np.rint(picture + alpha * (crop - picture)).astype(np.uint8)
    return Pasted(np.where(alpha > 0, blended, picture), hole)
