"""Draws glasses by the landmarks of the eyes."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.geometry.landmarks import eye_centres

_OVERSAMPLE = 4


def draw_glasses(
    image: NDArray[np.float32], landmarks: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw random glasses on a face.

    Args:
        image: (size, size, 3) RGB, 0 to 255.
        landmarks: (68, 2) in pixels of the image.
        rng: for their shape, colour, tint and reflections.

    Returns:
        (size, size, 3) RGB float32.
    """
    size = image.shape[0]
    left, right = eye_centres(landmarks)
    axis = right - left
    unit = float(np.hypot(*axis))
    axis, down = axis / unit, np.array([-axis[1], axis[0]]) / unit
    width, height = rng.uniform(0.36, 0.43), rng.uniform(0.24, 0.34)
    roundness, drop = rng.uniform(2.0, 4.5), rng.uniform(0.06, 0.13)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    x = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** (2 / roundness) * width
    y = np.sign(np.sin(angles)) * np.abs(np.sin(angles)) ** (2 / roundness) * height + drop
    spread = max(width + 0.07 - 0.5, -0.02)
    lenses = []
    for eye, side in ((left, -1), (right, 1)):
        shift = x + side * spread
        lenses.append(eye + unit * (shift[:, None] * axis + y[:, None] * down))
    inner = unit * (width - spread) * axis
    bridge = _arc(left + inner, right - inner, rng.uniform(0.02, 0.08) * unit, down)
    arms = []
    for eye, ear, side in ((left, landmarks[0], -1), (right, landmarks[16], 1)):
        hinge = eye + unit * (side * (width + spread) * axis + (drop - 0.4 * height) * down)
        arms.append(np.stack([hinge, ear - 0.1 * unit * down]))
    thick = unit * rng.uniform(0.02, 0.06)
    frame = _strokes(size, [(lens, True) for lens in lenses], thick)
    frame = np.maximum(frame, _strokes(size, [(bridge, False)], thick * 0.9))
    frame = np.maximum(frame, _strokes(size, [(arm, False) for arm in arms], thick * 0.7))
    glass = _filled(size, lenses)
    shadow = cv2.GaussianBlur(frame, (0, 0), 0.05 * unit)
    shadow = np.roll(shadow, max(int(0.06 * unit), 1), axis=0)
    tint = rng.uniform(0.0, 0.12) if rng.random() < 0.93 else rng.uniform(0.3, 0.9)
    image = image * (1 - 0.22 * shadow - tint * glass)[..., None]
    image = image + (_glare(size, lenses, rng) * glass)[..., None]
    colour = (
        rng.uniform(15, 70) + rng.normal(0, 10, 3)
        if rng.random() < 0.75
        else (rng.uniform(90, 170) * np.array([1.1, 1.0, 0.85]))
    )
    shine = 1 + 0.25 * np.linspace(1, -1, size)[:, None, None]
    cover = (frame * rng.uniform(0.75, 0.97))[..., None]
    return (image * (1 - cover) + cover * colour * shine).astype(np.float32)


def _arc(start: np.ndarray, end: np.ndarray, rise: float, down: np.ndarray) -> np.ndarray:
    """A parabola (9, 2) from start to end (2,), `rise` pixels high in its middle."""
    along = np.linspace(0, 1, 9)[:, None]
    height = rise * (1 - (2 * along - 1) ** 2)
    return start + along * (end - start) - height * down


def _strokes(size: int, lines: Iterable[tuple[np.ndarray, bool]], thickness: float) -> np.ndarray:
    """Coverage (size, size), 0 to 1, of lines (n, 2), each closed or not, in pixels."""
    big = np.zeros((size * _OVERSAMPLE,) * 2, np.uint8)
    for line, closed in lines:
        width = max(round(thickness * _OVERSAMPLE), 1)
        cv2.polylines(big, [_fixed(line)], closed, 255, width, cv2.LINE_8, 4)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _filled(size: int, polygons: Iterable[np.ndarray]) -> np.ndarray:
    """Coverage (size, size), 0 to 1, of polygons (n, 2) in pixels."""
    big = np.zeros((size * _OVERSAMPLE,) * 2, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(big, [_fixed(polygon)], 255, cv2.LINE_8, 4)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _fixed(points: np.ndarray) -> NDArray[np.int32]:
    """Points in OpenCV's fixed-point coordinates of the enlarged canvas."""
    return np.rint(((points + 0.5) * _OVERSAMPLE - 0.5) * 16).astype(np.int32)


def _glare(size: int, lenses: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Brightness (size, size) in grey levels of a soft diagonal streak across each lens."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    strength, slope = rng.uniform(0, 45), rng.uniform(0.3, 1.2)
    glare = np.zeros((size, size))
    for lens in lenses:
        middle, half = lens.mean(0), np.ptp(lens[:, 0]) / 2
        offset = (x - middle[0] + slope * (y - middle[1])) / half - rng.uniform(-0.6, 0.6)
        near = np.abs(x - middle[0]) < 1.2 * half
        glare = glare + near * np.exp(-((offset / 0.35) ** 2))
    return (strength * glare).astype(np.float32)
