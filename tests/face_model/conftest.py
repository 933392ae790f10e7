from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from unmask.face_model.appearance_model import AppearanceModel
from unmask.face_model.fit import AnnotatedFace, fit

SIZE = 96


def _plain_landmarks() -> NDArray[np.float32]:
    """A schematic face (68, 2) in units of the canonical frame."""

    def ellipse(x: float, y: float, a: float, b: float, start: float, count: int, sweep: float):
        turn = np.deg2rad(start + np.arange(count) * sweep)
        return np.stack([x + a * np.cos(turn), y + b * np.sin(turn)], 1)

    jaw = ellipse(0.5, 0.45, 0.36, 0.48, 180, 17, -180 / 16)
    left_brow = np.stack([np.linspace(0.24, 0.44, 5), np.full(5, 0.31)], 1)
    right_brow = np.stack([np.linspace(0.56, 0.76, 5), np.full(5, 0.31)], 1)
    ridge = np.stack([np.full(4, 0.5), np.linspace(0.4, 0.56, 4)], 1)
    nostrils = np.stack([np.linspace(0.44, 0.56, 5), [0.59, 0.6, 0.61, 0.6, 0.59]], 1)
    eyes = [ellipse(x, 0.4, 0.06, 0.02, 180, 6, 60) for x in (0.35, 0.65)]
    lips = ellipse(0.5, 0.74, 0.12, 0.05, 180, 12, 30)
    inner = ellipse(0.5, 0.74, 0.08, 0.015, 180, 8, 45)
    parts = [jaw, left_brow, right_brow, ridge, nostrils, *eyes, lips, inner]
    return np.concatenate(parts).astype(np.float32)


def schematic_faces(count: int, seed: int = 0) -> Iterator[AnnotatedFace]:
    """Painted faces of varied skin, half of them tight crops."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        gender = ("male", "female")[index % 2]
        stretch = 1 + 0.05 * rng.standard_normal(2)
        points = (_plain_landmarks() - 0.5) * stretch + 0.5
        points += 0.004 * rng.standard_normal(points.shape)
        pixels = (points * SIZE - 0.5).astype(np.float32)
        skin = rng.uniform(90, 220) * np.array([1.0, 0.8, 0.7])
        image = np.full((SIZE, SIZE, 3), rng.uniform(20, 200, 3), np.uint8)
        head = ((SIZE / 2, 0.45 * SIZE), (0.75 * SIZE, 1.05 * SIZE), 0.0)
        cv2.ellipse(image, head, skin.tolist(), -1)
        for part, colour in ((slice(36, 42), 30), (slice(42, 48), 30), (slice(48, 60), 120)):
            tone = (colour, colour // 2, colour // 2)
            cv2.fillPoly(image, [np.rint(pixels[part]).astype(np.int32)], tone)
        valid = None
        if index % 3 == 0:
            valid = np.zeros((SIZE, SIZE), np.bool_)
            valid[10:-10, 10:-10] = True
        yield image, pixels, valid, gender, int(rng.integers(5, 80)), "abc"[index % 3]


@pytest.fixture
def plain_landmarks() -> NDArray[np.float32]:
    """A schematic face (68, 2) in units of the canonical frame."""
    return _plain_landmarks()


@pytest.fixture(scope="session")
def small_model() -> AppearanceModel:
    return fit(schematic_faces(48), texture_size=64, shape_components=8, texture_components=16)


@pytest.fixture
def make_faces() -> Callable[[int], Iterator[AnnotatedFace]]:
    return schematic_faces
