"""The relief of a mask: its bulge, pleats, seams, wrinkles and valve as height maps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import cv2
import numpy as np

from unmask.masking.fabrics import stamp
from unmask.masking.tiles import SEED, TILE, noise, sample_tile, wrap_padded

WRINKLES = 12  # maps


@cache
def wrinkle_maps() -> tuple[np.ndarray, ...]:
    """Seamless maps of wrinkles (TILE + 1, TILE + 1) float32, about -1 to 1, fine and broad."""
    rng = np.random.default_rng([SEED, 999])
    maps = []
    for index in range(WRINKLES):
        size = (10, 14, 20)[index % 3]
        across = noise(rng, size, (3.0, 1.6, 2.2, 1.2)[index % 4])
        ridged = 1 - 2 * np.abs(across / 1.6) ** 0.8
        fine = noise(rng, size / 3, 1.5)
        maps.append(wrap_padded((0.5 * ridged + 0.3 * across + 0.18 * fine).astype(np.float32)))
    return tuple(maps)


def _bell(distance: np.ndarray, width: float) -> np.ndarray:
    """A smooth bump, 0 to 1, like exp(-(distance / width)**2), but cheaper."""
    hill = np.maximum(1 - (distance * np.float32(0.5 / width)) ** 2, 0)
    return (hill * hill) ** 2


def wrinkle_height(
    u: np.ndarray, v: np.ndarray, index: int, period: float, shift: np.ndarray, turn: float
) -> np.ndarray:
    """Sample one map of wrinkles.

    Args:
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        index: of the map, 0 to WRINKLES - 1.
        period: side of the map in (u, v).
        shift: (2,) of the map, in periods.
        turn: of the map, in radians.

    Returns:
        (h, w), about -1 to 1.
    """
    cos, sin = np.float32(np.cos(turn) / period), np.float32(np.sin(turn) / period)
    x, y = shift.astype(np.float32)
    return sample_tile(wrinkle_maps()[index], u * cos - v * sin + x, u * sin + v * cos + y)


def dome_height(u: np.ndarray, v: np.ndarray, height: float) -> np.ndarray:
    """Height of the face's own curvature and of the mask's bulge over nose and mouth.

    Args:
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        height: of the bulge in inter-ocular distances.

    Returns:
        (h, w) in inter-ocular distances.
    """
    head = 0.55 * np.sqrt(np.maximum(1 - (0.8 * u) ** 2, 0.04)) - 0.22 * (v - 0.45) ** 2
    return head + height * _bell(u, 0.5) * _bell(v - 0.5, 0.45)


def pleat_height(
    u: np.ndarray, v: np.ndarray, count: int, opening: float, depth: float
) -> np.ndarray:
    """Height of the steps of pleats, which lie flat at the sides and are open in the middle.

    Args:
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        count: number of pleats.
        opening: how far the middle is pulled open, 0 to 1.
        depth: of a step in inter-ocular distances.

    Returns:
        (h, w) in inter-ocular distances.
    """
    sag = v - opening * (1 - u**2) * (v - 0.3)
    phase = (sag - 0.22) / 0.66 * count
    step = phase - np.floor(phase)
    lap = np.minimum(step, (1 - step) * 5)
    return depth * np.where((phase > 0) & (phase < count), lap, 0).astype(np.float32)


def seam_relief(
    u: np.ndarray, v: np.ndarray, inside: np.ndarray, creases: Mapping[str, float]
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Relief and darkening of seams, folds and ribs.

    Args:
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        inside: (h, w) distance from the mask's edge in inter-ocular distances.
        creases: kinds to strengths, about 0.5 to 1.1.

    Returns:
        Height in inter-ocular distances, and the share of light that stitches take, each (h, w), or
        0 where no crease has any.
    """
    height: np.ndarray | float = 0.0
    dark: np.ndarray | float = 0.0
    for name, strength in creases.items():
        if name == "fold":
            height = height + strength * 0.11 * (0.55 - np.sqrt(u**2 + 0.0006))
            dark = dark + 0.14 * strength * _bell(u - 0.012, 0.018)
        elif name == "hem":
            height = height + strength * 0.012 * _bell(inside - 0.045, 0.035)
            dark = dark + 0.10 * strength * _bell(inside - 0.085, 0.014)
        elif name == "rim":
            height = height + strength * 0.03 * _bell(inside - 0.05, 0.05)
            dark = dark + 0.12 * strength * _bell(inside - 0.11, 0.02)
        elif name == "stamp":
            x, y = (u - 0.2) * np.float32(TILE / 0.6), (v - 0.46) * np.float32(TILE / 0.55)
            dark = dark + 0.5 * strength * cv2.remap(stamp(), x, y, cv2.INTER_LINEAR)
        elif name == "wire":
            reach = _bell(u, 0.3) * (v < 0.4)
            height = height + strength * 0.012 * _bell(inside - 0.10, 0.03) * reach
        elif name == "bill":
            height = height + strength * 0.32 * (0.5 - np.abs(v - 0.56)) * _bell(u, 0.75)
            dark = dark + 0.18 * strength * _bell(v - 0.57, 0.016)
        elif name == "panels":
            for seam in (0.36 + 0.12 * u**2, 0.80 - 0.22 * u**2):
                dark = dark + 0.16 * strength * _bell(v - seam, 0.014)
                height = height - strength * 0.05 * np.abs(v - seam)
        elif name == "ribs":
            lines = np.cos(np.sqrt(u**2 + (v - 0.6) ** 2) * 26)
            height = height + strength * 0.008 * lines
        elif name == "pleat_lines":
            for line in (0.36, 0.56, 0.76):
                dark = dark + 0.25 * strength * _bell(v - line - 0.1 * (1 - u**2), 0.012)
        elif name == "bunch":
            lines = np.sin((v - 0.25 * (1 - u**2)) * (14 + 6 * strength) + 2 * u)
            height = height + strength * 0.012 * lines * np.clip(v * 1.6 - 0.5, 0, 1)
    return height, dark


def valve_relief(
    u: np.ndarray, v: np.ndarray, at: tuple[float, float], radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """An exhalation valve, a slotted disc.

    Args:
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        at: u and v of its centre.
        radius: in inter-ocular distances.

    Returns:
        Height in inter-ocular distances and coverage 0 to 1, each (h, w).
    """
    distance = np.sqrt(((u - at[0]) * 1.15) ** 2 + ((v - at[1]) * 1.3) ** 2) / radius
    cover = np.clip((1 - distance) * 8, 0, 1)
    slots = 0.012 * np.cos((v - at[1]) / radius * 14) * (distance < 0.75)
    return 0.06 * cover * (1 - 0.3 * distance**2) + slots, cover
