"""Grain: the camera's noise, which the skin around a hole has and what fills it lacks."""

import numpy as np

from unmask.restore.detail import fine_detail

_WHITE = 0.8725  # standard deviation that white noise of 1 keeps of its detail
_FEWEST = 50  # pixels
_STRONGEST = 4.0  # grey levels
_SHARE = 0.5  # of the grain that lacks: a camera's is smoother than noise, which looks coarser


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
