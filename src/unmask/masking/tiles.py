"""Tiles: square maps that repeat without a seam, for patterns and wrinkles."""

from __future__ import annotations

import cv2
import numpy as np

TILE = 128  # side in pixels
SEED = 20200311  # of all tiles, which are the same in every run


def noise(rng: np.random.Generator, size: float, stretch: float = 1.0) -> np.ndarray:
    """Seamless smooth noise (TILE, TILE) of zero mean and unit deviation.

    Args:
        rng: for the noise.
        size: of its grain in pixels.
        stretch: ratio of the grain's width to its height.
    """
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    low_pass = np.exp(-2 * (np.pi * size) ** 2 * ((fx * stretch) ** 2 + fy**2) / 4)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * low_pass)
    return (field - field.mean()) / field.std()


def mix_dyes(first: np.ndarray, second: np.ndarray | float = 0.0) -> np.ndarray:
    """The tile (TILE, TILE, 3) of dye shares where two dyes, of coverage 0 to 1, lie on the ground.

    The second dye lies over the first.
    """
    second = np.broadcast_to(np.clip(second, 0, 1), (TILE, TILE))
    first = np.broadcast_to(np.clip(first, 0, 1), (TILE, TILE)) * (1 - second)
    return np.dstack([1 - first - second, first, second]).astype(np.float32)


def wrap_padded(tile: np.ndarray) -> np.ndarray:
    """The tile with its first row and column repeated at the end, for `sample_tile`."""
    return np.pad(tile, ((0, 1), (0, 1), *((0, 0),) * (tile.ndim - 2)), mode="wrap")


def sample_tile(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sample a tile that repeats endlessly.

    Args:
        tile: (s + 1, s + 1[, c]), from `wrap_padded`.
        x: (h, w) float32, in tiles.
        y: (h, w) float32, in tiles.

    Returns:
        (h, w[, c]).
    """
    side = np.float32(tile.shape[0] - 1)
    return cv2.remap(tile, (x - np.floor(x)) * side, (y - np.floor(y)) * side, cv2.INTER_LINEAR)
