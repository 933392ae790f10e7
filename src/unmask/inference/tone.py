"""The tone of a photograph: black and white stays so, and sepia keeps its brown."""

import cv2
import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_KNOTS = 17  # of the curves from luma to colour
_RIDGE = 0.5  # pixels of no colour that each knot starts from
_SAME, _ALL_BUT = 5.0, 90.0  # grey levels that so many per cent of the pixels may be off a curve;
# of 60 photos in colour 95 % are off by 7 and more, of the same in sepia by 3 and less
_SOFT = 1.0  # pixels; JPEG stores colour coarser than luma
_FEWEST = 200  # pixels
_MOST = 10_000  # pixels that a tone is read from


def _hats(luma: np.ndarray) -> np.ndarray:
    """The shares (N, knots) that the knots have in lumas (N,) of 0..255, summing to 1."""
    place = luma[:, None] * np.float32((_KNOTS - 1) / 255)
    return np.maximum(0, 1 - np.abs(place - np.arange(_KNOTS, dtype=np.float32)))


def tone_of(picture: np.ndarray, where: np.ndarray) -> np.ndarray | None:
    """How red and blue follow from luma in a photo of one tone; None in one of many colours.

    Args:
        picture: (H, W, 3) uint8 RGB.
        where: (H, W) bool, the pixels that count.

    Returns:
        (knots, 2) red and blue less luma, in grey levels, at evenly spaced lumas from 0 to 255;
        zeros in black and white.
    """
    if where.sum() < _FEWEST:
        return None
    pixels = cv2.GaussianBlur(picture, (0, 0), _SOFT)[where]
    pixels = pixels[:: len(pixels) // _MOST + 1].astype(np.float32)
    luma = pixels @ _LUMA
    colour, shares = pixels[:, [0, 2]] - luma[:, None], _hats(luma)
    tone = np.linalg.solve(shares.T @ shares + _RIDGE * np.eye(_KNOTS), shares.T @ colour)
    off = np.abs(colour - shares @ tone).max(axis=1)
    return tone.astype(np.float32) if np.percentile(off, _ALL_BUT) <= _SAME else None


def toned_like(picture: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What fills a hole, in the tone of the picture around it where that has but one.

    Args:
        picture, filled: (H, W, 3) uint8 RGB, before and after.
        hole: (H, W) bool, what was filled.
    """
    tone = tone_of(picture, ~hole)
    if tone is None:
        return filled
    luma = filled[hole].astype(np.float32) @ _LUMA
    red, blue = luma + (_hats(luma) @ tone).T
    green = (luma - _LUMA[0] * red - _LUMA[2] * blue) / _LUMA[1]
    toned = filled.copy()
    toned[hole] = np.stack([red, green, blue], axis=1).round().clip(0, 255)
    return toned
