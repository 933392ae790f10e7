"""The mask types: the outline of each on the face, and what is sewn to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Shape:
    """One mask type.

    outline: right half (n, 2) in (u, v) of `unmask.masking.chart`, top centre to bottom centre;
        a point given twice makes a corner.
    upper, lower: where the upper and the lower strap are sewn on, on the right half.
    straps: name -> weight, of `unmask.masking.straps.STRAPS`.
    standoff: how far the centre stands before the face, in sizes.
    dome: height of the bulge over nose and mouth, in sizes.
    folds: strength of wrinkles; pleats: number of pleats across.
    creases: name -> chance, of centre fold, seams and so on in `unmask.masking.relief`.
    """

    outline: tuple[tuple[float, float], ...]
    upper: tuple[float, float]
    lower: tuple[float, float]
    straps: Mapping[str, float]
    standoff: float
    dome: float
    folds: float
    pleats: int = 0
    creases: Mapping[str, float] | None = None


SHAPES: dict[str, Shape] = {
    "surgical": Shape(
        ((0, 0.09), (0.16, 0.10), (0.36, 0.13), (0.62, 0.13), (0.98, 0.10), (0.98, 0.10),
         (1.04, 0.50), (1.12, 0.88), (1.12, 0.88), (0.90, 1.12), (0.53, 1.17), (0, 1.17)),
        (0.96, 0.12), (1.09, 0.87), {"loops": 9, "ties": 1}, 0.10, 0.13, 1.0, 3,
        {"wire": 0.8, "hem": 0.9},
    ),
    "kn95": Shape(
        ((0, 0.02), (0.12, 0.04), (0.32, 0.15), (0.62, 0.17), (0.98, 0.18), (0.98, 0.18),
         (1.05, 0.50), (1.09, 0.72), (0.87, 1.04), (0.46, 1.15), (0.10, 1.18), (0, 1.18)),
        (0.96, 0.22), (1.04, 0.62), {"loops": 1}, 0.20, 0.20, 0.5, 0,
        {"fold": 1.0, "wire": 0.7, "hem": 1.0, "valve": 0.15, "stamp": 0.5},
    ),
    "n95_cup": Shape(
        ((0, 0.01), (0.16, 0.04), (0.50, 0.18), (0.86, 0.38), (0.98, 0.64), (0.93, 0.90),
         (0.68, 1.09), (0.32, 1.16), (0, 1.17)),
        (0.82, 0.40), (0.91, 0.84), {"head": 1}, 0.24, 0.22, 0.15, 0,
        {"rim": 0.8, "wire": 0.9, "valve": 0.4, "stamp": 0.4},
    ),
    "duckbill": Shape(
        ((0, 0.02), (0.14, 0.04), (0.40, 0.18), (0.88, 0.38), (0.98, 0.48), (1.00, 0.58),
         (0.86, 0.88), (0.56, 1.06), (0.2, 1.10), (0, 1.10)),
        (0.94, 0.45), (0.96, 0.57), {"head": 3, "loops": 1}, 0.26, 0.18, 0.5, 0,
        {"bill": 1.0, "wire": 0.8, "hem": 0.7},
    ),
    "fish": Shape(
        ((0, 0.02), (0.14, 0.05), (0.36, 0.16), (0.72, 0.26), (1.02, 0.40), (1.02, 0.40),
         (1.05, 0.62), (1.05, 0.62), (0.83, 0.95), (0.49, 1.12), (0.15, 1.16), (0, 1.16)),
        (1.00, 0.42), (1.03, 0.60), {"loops": 4, "head": 1}, 0.20, 0.20, 0.4, 0,
        {"panels": 1.0, "wire": 0.6, "hem": 0.8},
    ),
    "cloth": Shape(
        ((0, 0.07), (0.14, 0.09), (0.36, 0.15), (0.64, 0.16), (1.01, 0.15), (1.01, 0.15),
         (1.05, 0.44), (1.11, 0.70), (0.96, 1.02), (0.55, 1.14), (0.12, 1.16), (0, 1.16)),
        (0.98, 0.18), (1.05, 0.62), {"loops": 1}, 0.12, 0.15, 1.2, 0,
        {"fold": 0.6, "hem": 0.7, "wire": 0.2},
    ),
    "sponge": Shape(
        ((0, 0.08), (0.12, 0.10), (0.34, 0.15), (0.62, 0.16), (1.02, 0.10), (1.02, 0.10),
         (0.93, 0.40), (1.10, 0.70), (1.10, 0.70), (0.96, 1.01), (0.50, 1.14), (0.08, 1.17),
         (0, 1.17)),
        (0.96, 0.15), (1.03, 0.62), {"bands": 1}, 0.12, 0.14, 0.4, 0,
        {"fold": 0.95},
    ),
    "gaiter": Shape(
        ((0, 0.06), (0.18, 0.10), (0.45, 0.16), (0.80, 0.14), (1.05, 0.10), (1.05, 0.10),
         (1.10, 0.45), (1.16, 0.80), (1.11, 1.10), (1.08, 1.35), (1.08, 1.65), (1.08, 1.65),
         (0.54, 1.70), (0, 1.72)),
        (1.0, 0.2), (1.06, 0.60), {"none": 1}, 0.08, 0.12, 1.6, 0,
        {"bunch": 1.0},
    ),
    "bandana": Shape(
        ((0, 0.05), (0.18, 0.09), (0.45, 0.15), (0.80, 0.15), (1.05, 0.12), (1.05, 0.12),
         (1.08, 0.40), (1.12, 0.66), (0.93, 1.06), (0.52, 1.38), (0.08, 1.70), (0, 1.70)),
        (1.0, 0.2), (1.06, 0.60), {"none": 1}, 0.08, 0.12, 1.8, 0,
        {"hem": 0.5, "bunch": 0.6},
    ),
}  # fmt: skip

MASK_TYPES = tuple(SHAPES)


def outline_of(mask_type: str, rng: np.random.Generator) -> np.ndarray:
    """A closed outline (n, 2) in (u, v): the type's own, a little different every time."""
    half = np.array(SHAPES[mask_type].outline)
    half = half * [rng.uniform(0.93, 1.05), 1] + rng.normal(0, 0.008, half.shape) * (half > 0)
    half[:, 1] = 0.6 + (half[:, 1] - 0.6) * rng.uniform(0.95, 1.04) + rng.normal(0, 0.015)
    other = half[-2:0:-1] * [-1, 1] + rng.normal(0, 0.006, (len(half) - 2, 2))
    return _rounded(np.vstack([half, other]))


def _rounded(points: np.ndarray, times: int = 2) -> np.ndarray:
    """The closed polygon with its corners cut, Chaikin's way; a doubled corner is cut less."""
    for _ in range(times):
        after = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * after, 0.25 * points + 0.75 * after], axis=1)
        points = points.reshape(-1, 2)
    return points
