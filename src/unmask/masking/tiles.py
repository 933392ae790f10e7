"""Tiles, the seamless maps that patterns and wrinkles are kept in, and how they are read."""

from __future__ import annotations

import cv2
import numpy as np

TILE = 128
SEED = 20200311


def noise(rng: np.random.Generator, size: float, stretch: float = 1.0) -> np.ndarray:
    """Seamless smooth noise (TILE, TILE), standard normal, of grain `size` pixels."""
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    low_pass = np.exp(-2 * (np.pi * size) ** 2 * ((fx * stretch) ** 2 + fy**2) / 4)
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * low_pass)
    return (field - field.mean()) / field.std()


def mixed(first: np.ndarray, second: np.ndarray | float = 0.0) -> np.ndarray:
    """The tile whose second dye covers the first, which covers the ground; both in 0..1."""
    second = np.broadcast_to(np.clip(second, 0, 1), (TILE, TILE))
    first = np.broadcast_to(np.clip(first, 0, 1), (TILE, TILE)) * (1 - second)
    return np.dstack([1 - first - second, first, second]).astype(np.float32)


def wrapped(tile: np.ndarray) -> np.ndarray:
    """The tile with its first row and column once more at the end, for `sampled`."""
    return np.pad(tile, ((0, 1), (0, 1), *((0, 0),) * (tile.ndim - 2)), mode="wrap")


def sampled(tile: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A `wrapped` tile at x and y (h, w) float32, in tiles; repeats without end."""
    side = np.float32(tile.shape[0] - 1)
    return cv2.remap(tile, (x - np.floor(x)) * side, (y - np.floor(y)) * side, cv2.INTER_LINEAR)
