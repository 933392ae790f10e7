"""Synthetic faces to put masks on: the mean face, turned, moved and scaled at will."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

MEAN = np.loadtxt(Path(__file__).with_name("mean_face.txt"))
DEPTH = {"nose": 0.14, "mouth": 0.06, "eyes": 0.03}  # towards the camera, in crop widths
MIRRORED = np.r_[16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40,
                 54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1]  # fmt: skip


def landmarks(size: int = 128, yaw: float = 0.0, pitch: float = 0.0) -> np.ndarray:
    """Landmarks (68, 2) of the mean face in a crop `size` pixels wide, turned by yaw degrees.

    A positive pitch, in degrees, looks down.
    """
    depth = -0.12 * ((MEAN[:, 0] - 0.5) / 0.33) ** 2 * (np.arange(68) < 17)
    depth[27:36] = DEPTH["nose"]
    depth[36:48] = DEPTH["eyes"]
    depth[48:68] = depth[7:10] = DEPTH["mouth"]
    turn = np.radians(yaw)
    points = MEAN.copy()
    points[:, 0] = 0.5 + (points[:, 0] - 0.5) * np.cos(turn) + depth * np.sin(turn)
    nod = np.radians(pitch)
    points[:, 1] = 0.5 + (points[:, 1] - 0.5) * np.cos(nod) + depth * np.sin(nod)
    return points * size


def skin(size: int = 128, seed: int = 0) -> np.ndarray:
    """An image (size, size, 3) of grainy skin, brighter at image right."""
    rng = np.random.default_rng(seed)
    fade = np.linspace(0.7, 1.1, size)[None, :, None]
    image = np.array([200, 155, 130]) * fade + rng.normal(0, 6, (size, size, 1))
    return image.clip(0, 255).astype(np.uint8)


@pytest.fixture
def face() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Makes an image and landmarks of the size, yaw and pitch asked for."""
    return lambda size=128, yaw=0.0, pitch=0.0: (skin(size), landmarks(size, yaw, pitch))


@pytest.fixture
def mirrored() -> Callable[[np.ndarray, int], np.ndarray]:
    """Mirrors landmarks in an image of the given width."""
    return lambda points, width: points[MIRRORED] * [-1, 1] + [width - 1, 0]
