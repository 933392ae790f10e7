"""The outline of one mask: its type's, varied at random."""

from __future__ import annotations

import numpy as np

from unmask.masking.shapes import SHAPES

MIDDLE = 0.6  # the v from which an outline stretches up and down
NARROWEST, WIDEST = -0.18, 0.13  # relative change of width
TOP, BOTTOM = (-0.30, 0.18), (-0.22, 0.30)  # relative change of the reach above and below MIDDLE
STEPS = 240  # points of an outline whose edge waves
WAVY = 0.22  # chance of an edge that bulges or is scalloped
POLYGON = 0.12  # chance of corners that are not rounded


def outline_of(mask_type: str, rng: np.random.Generator, variation: float = 1.0) -> np.ndarray:
    """A closed outline (n, 2) in (u, v): the type's own, different every time.

    variation: how much it differs, from 0, hardly at all, to 1.
    """
    base = np.array(SHAPES[mask_type].outline)
    width = rng.uniform(NARROWEST, WIDEST)
    top, bottom = (1 + variation * rng.uniform(*reach) for reach in (TOP, BOTTOM))
    common = rng.normal(0, 0.008 + 0.012 * variation, base.shape)
    halves = []
    for _ in range(2):
        own = rng.normal(0, 0.004 + 0.010 * variation, base.shape)
        half = base * [1 + variation * (width + rng.normal(0, 0.025)), 1]
        half = half + (common + own) * (base > 0)
        reach = half[:, 1] - MIDDLE
        half[:, 1] = MIDDLE + reach * np.where(reach < 0, top, bottom)
        halves.append(half)
    right, left = halves
    points = np.vstack([right, left[-2:0:-1] * [-1, 1]])
    points[:, 1] += rng.normal(0, 0.015)
    if rng.random() >= POLYGON * variation:
        points = _rounded(points, int(rng.integers(1, 4)))
    return _waved(points, rng, variation) if rng.random() < WAVY * variation else points


def _rounded(points: np.ndarray, times: int) -> np.ndarray:
    """The closed polygon with its corners cut, Chaikin's way; a doubled corner is cut less."""
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = points.reshape(-1, 2)
    return points


def _waved(points: np.ndarray, rng: np.random.Generator, variation: float) -> np.ndarray:
    """The outline with its edge moved in and out, in a few bulges or in many scallops."""
    closed = np.vstack([points, points[:1]])
    length = np.r_[0, np.cumsum(np.hypot(*np.diff(closed, axis=0).T))]
    at = np.linspace(0, length[-1], STEPS, endpoint=False)
    edge = np.stack([np.interp(at, length, closed[:, axis]) for axis in (0, 1)], axis=1)
    along = np.roll(edge, -1, axis=0) - np.roll(edge, 1, axis=0)
    normal = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.hypot(*along.T)[:, None].clip(1e-6)
    turns = np.arange(STEPS) / STEPS * 2 * np.pi
    if rng.random() < 0.5:
        wave = rng.uniform(0.01, 0.025) * np.abs(np.sin(turns * rng.integers(8, 20)))
    else:
        wave = sum(
            rng.normal(0, 0.03 / k) * np.sin(k * turns + rng.uniform(0, 2 * np.pi))
            for k in (2, 3, 5)
        )
    return edge + variation * wave[:, None] * normal
