"""The tone of a photograph: black and white stays so, and sepia keeps its brown."""

import cv2
import numpy as np

from unmask.config.restore import Tone

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_KNOTS = 17  # of the curves from luma to colour
_RIDGE = 0.5  # pixels of no colour that each knot starts from
_FEWEST = 200  # pixels
_MOST = 10_000  # pixels that a tone is fitted to


def _hat_functions(luma: np.ndarray) -> np.ndarray:
    """The piecewise linear basis (N, knots) at lumas (N,) of 0..255; rows sum to 1."""
    place = luma[:, None] * np.float32((_KNOTS - 1) / 255)
    return np.maximum(0, 1 - np.abs(place - np.arange(_KNOTS, dtype=np.float32)))


def fit_tone(picture: np.ndarray, where: np.ndarray, settings: Tone) -> np.ndarray | None:
    """How red and blue follow from luma in a photo of one tone; None in one of many colours.

    Args:
        picture: (H, W, 3) uint8 RGB.
        where: (H, W) bool, the pixels that count.
        settings: how near the curve the pixels of such a photo lie.

    Returns:
        (knots, 2) red and blue less luma, in grey levels, at evenly spaced lumas from 0 to 255;
        zeros in black and white.
    """
    if where.sum() < _FEWEST:
        return None
    pixels = cv2.GaussianBlur(picture, (0, 0), settings.blur)[where]
    pixels = pixels[:: len(pixels) // _MOST + 1].astype(np.float32)
    luma = pixels @ _LUMA
    colour, shares = pixels[:, [0, 2]] - luma[:, None], _hat_functions(luma)
    tone = np.linalg.solve(shares.T @ shares + _RIDGE * np.eye(_KNOTS), shares.T @ colour)
    off = np.abs(colour - shares @ tone).max(axis=1)
    one_tone = np.percentile(off, settings.percentile) <= settings.tolerance
    return tone.astype(np.float32) if one_tone else None


def match_tone(
    picture: np.ndarray, filled: np.ndarray, hole: np.ndarray, settings: Tone
) -> np.ndarray:
    """What fills a hole, in the tone of the picture around it where that has but one.

    Args:
        picture: (H, W, 3) uint8 RGB, before its hole was filled.
        filled: (H, W, 3) uint8 RGB, after.
        hole: (H, W) bool, what was filled.
        settings: when a picture has but one tone.

    Returns:
        (H, W, 3) uint8 RGB, changed in the hole and nowhere else.
    """
    tone = fit_tone(picture, ~hole, settings)
    if tone is None:
        return filled
    luma = filled[hole].astype(np.float32) @ _LUMA
    red, blue = luma + (_hat_functions(luma) @ tone).T
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    toned = filled.copy()
    toned[hole] = np.stack([red, green, blue], axis=1).round().clip(0, 255)
    return toned
