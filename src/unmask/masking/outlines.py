"""Samples the outline of one mask: its type's, varied at random."""

from __future__ import annotations

import numpy as np

from unmask.masking.shapes import SHAPES

MIDDLE = 0.6  # v from which an outline is stretched up and down
NARROWEST, WIDEST = -0.18, 0.13  # relative change of width
TOP, BOTTOM = (-0.30, 0.18), (-0.22, 0.30)  # relative change of the height above and below MIDDLE
STEPS = 240  # points of an outline with a wavy edge
WAVY = 0.22  # probability of an edge with bulges or scallops
POLYGON = 0.12  # probability of corners that are not rounded


def sample_outline(mask_type: str, rng: np.random.Generator, variation: float = 1.0) -> np.ndarray:
    """Sample a closed outline.

    Args:
        mask_type: one of `unmask.masking.shapes.MASK_TYPES`.
        rng: for the sample.
        variation: how much it differs from the type's own outline, 0 hardly at all, to 1.

    Returns:
        (n, 2) in (u, v).
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
    """The closed polygon with corners cut by Chaikin's algorithm; repeated points are cut less."""
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = points.reshape(-1, 2)
    return points


def _waved(points: np.ndarray, rng: np.random.Generator, variation: float) -> np.ndarray:
    """The outline with an edge of a few bulges or of many scallops."""
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
        wave = np.zeros(STEPS)
        for k in (2, 3, 5):
            wave += rng.normal(0, 0.03 / k) * np.sin(k * turns + rng.uniform(0, 2 * np.pi))
    return edge + variation * wave[:, None] * normal
