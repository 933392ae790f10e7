"""Glasses drawn from the eyes' landmarks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.geometry.landmarks import eye_centres

_OVERSAMPLE = 4


def wear_glasses(
    image: NDArray[np.float32], landmarks: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw glasses on an RGB image (size, size, 3) of values 0 to 255, from landmarks (68, 2)."""
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
    bridge = _arc(left, right, width - spread, unit, axis, down, rng)
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


def _arc(left, right, reach, unit, axis, down, rng) -> NDArray[np.float64]:
    start, end = left + unit * reach * axis, right - unit * reach * axis
    along = np.linspace(0, 1, 9)[:, None]
    rise = rng.uniform(0.02, 0.08) * unit * (1 - (2 * along - 1) ** 2)
    return start + along * (end - start) - rise * down


def _strokes(size: int, lines: list, thickness: float) -> NDArray[np.float32]:
    big = np.zeros((size * _OVERSAMPLE,) * 2, np.uint8)
    for line, closed in lines:
        width = max(round(thickness * _OVERSAMPLE), 1)
        cv2.polylines(big, [_fixed(line)], closed, 255, width, cv2.LINE_8, 4)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _filled(size: int, polygons: list) -> NDArray[np.float32]:
    big = np.zeros((size * _OVERSAMPLE,) * 2, np.uint8)
    for polygon in polygons:
        cv2.fillPoly(big, [_fixed(polygon)], 255, cv2.LINE_8, 4)
    return cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.rint(((points + 0.5) * _OVERSAMPLE - 0.5) * 16).astype(np.int32)


def _glare(size: int, lenses: list, rng: np.random.Generator) -> NDArray[np.float32]:
    """A soft diagonal streak across each lens."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    strength, slope, glare = rng.uniform(0, 45), rng.uniform(0.3, 1.2), 0.0
    for lens in lenses:
        middle, half = lens.mean(0), np.ptp(lens[:, 0]) / 2
        offset = (x - middle[0] + slope * (y - middle[1])) / half - rng.uniform(-0.6, 0.6)
        near = np.abs(x - middle[0]) < 1.2 * half
        glare = glare + near * np.exp(-((offset / 0.35) ** 2))
    return (strength * glare).astype(np.float32)
