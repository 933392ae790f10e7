"""The mask types: outline, straps, seams and relief of each.

Three families differ from all others: flat (`flat`), rigid (`cup`, `respirator`) and transparent
(`window`, `shield`). To test how a network generalises to masks of another tool, train it with one
family at weight 0: nothing else in the training data resembles it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """One mask type.

    Attributes:
        outline: right half, (u, v) from top centre to bottom centre; a repeated point is a corner.
        upper: (u, v) on the right half where the upper strap is sewn on.
        lower: (u, v) on the right half where the lower strap is sewn on.
        straps: kinds of `unmask.masking.straps.WIDTHS` to weights.
        standoff: distance of the mask's centre from the face, in inter-ocular distances.
        dome: height of the bulge over nose and mouth, in inter-ocular distances.
        folds: strength of wrinkles, 0 for none.
        pleats: number of horizontal pleats.
        creases: seams, folds and so on of `unmask.masking.relief` to probabilities.
        filters: probability of filter cartridges.
        pane: kind of its transparent part, of `unmask.masking.panes`.
        pasted: probability of each defect of `unmask.masking.finish`, besides what params ask for.
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
    filters: float = 0.0
    pane: str | None = None
    pasted: float = 0.0


LOOSE = {"loops": 6, "hooks": 2.5, "ties": 1, "cords": 0.6, "head": 0.4, "none": 0.5}

SHAPES: dict[str, Shape] = {
    "surgical": Shape(
        ((0, 0.09), (0.16, 0.10), (0.36, 0.13), (0.62, 0.13), (0.98, 0.10), (0.98, 0.10),
         (1.04, 0.50), (1.12, 0.88), (1.12, 0.88), (0.90, 1.12), (0.53, 1.17), (0, 1.17)),
        (0.96, 0.12), (1.09, 0.87), LOOSE, 0.10, 0.13, 1.0, 3,
        {"wire": 0.8, "hem": 0.9},
    ),
    "kn95": Shape(
        ((0, 0.02), (0.12, 0.04), (0.32, 0.15), (0.62, 0.17), (0.98, 0.18), (0.98, 0.18),
         (1.05, 0.50), (1.09, 0.72), (0.87, 1.04), (0.46, 1.15), (0.10, 1.18), (0, 1.18)),
        (0.96, 0.22), (1.04, 0.62), LOOSE, 0.20, 0.20, 0.5, 0,
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
        (0.98, 0.18), (1.05, 0.62), LOOSE, 0.12, 0.15, 1.2, 0,
        {"fold": 0.6, "hem": 0.7, "wire": 0.2},
    ),
    "sponge": Shape(
        ((0, 0.08), (0.12, 0.10), (0.34, 0.15), (0.62, 0.16), (1.02, 0.10), (1.02, 0.10),
         (0.93, 0.40), (1.10, 0.70), (1.10, 0.70), (0.96, 1.01), (0.50, 1.14), (0.08, 1.17),
         (0, 1.17)),
        (0.96, 0.15), (1.03, 0.62), {"bands": 6, "hooks": 1}, 0.12, 0.14, 0.4, 0,
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
    "flat": Shape(
        ((0, 0.02), (0.34, 0.07), (0.70, 0.06), (1.02, 0.04), (1.02, 0.04), (1.06, 0.45),
         (1.02, 0.82), (1.02, 0.82), (0.62, 1.12), (0.22, 1.17), (0, 1.17)),
        (1.00, 0.07), (1.02, 0.80), {"loops": 3, "none": 2, "ties": 1, "head": 1}, 0.04, 0.03,
        0.15, 0, {"hem": 0.3, "pleat_lines": 0.5, "fold": 0.2}, pasted=0.6,
    ),
    "cup": Shape(
        ((0, 0.00), (0.18, 0.05), (0.48, 0.22), (0.74, 0.48), (0.80, 0.74), (0.68, 0.98),
         (0.36, 1.12), (0, 1.15)),
        (0.70, 0.44), (0.74, 0.86), {"head": 3, "loops": 1}, 0.44, 0.36, 0.05, 0,
        {"rim": 0.8, "wire": 0.5, "valve": 0.4, "stamp": 0.3, "ribs": 0.4},
    ),
    "respirator": Shape(
        ((0, -0.02), (0.16, 0.05), (0.42, 0.26), (0.66, 0.50), (0.76, 0.74), (0.60, 1.00),
         (0.26, 1.12), (0, 1.14)),
        (0.62, 0.46), (0.70, 0.84), {"head": 1}, 0.42, 0.34, 0.05, 0,
        {"rim": 1.0, "ribs": 0.3}, filters=1.0,
    ),
    "window": Shape(
        ((0, 0.06), (0.16, 0.08), (0.40, 0.13), (0.66, 0.14), (1.00, 0.12), (1.00, 0.12),
         (1.05, 0.46), (1.09, 0.76), (0.92, 1.03), (0.52, 1.14), (0.12, 1.17), (0, 1.17)),
        (0.97, 0.16), (1.05, 0.72), {"loops": 4, "ties": 1}, 0.14, 0.16, 0.7, 0,
        {"hem": 0.8, "wire": 0.3}, pane="window",
    ),
    "shield": Shape(
        ((0, 0.04), (0.40, 0.08), (0.80, 0.06), (1.04, 0.02), (1.04, 0.02), (1.10, 0.50),
         (1.06, 0.95), (0.80, 1.22), (0.30, 1.28), (0, 1.28)),
        (1.02, 0.04), (1.06, 0.70), {"visor": 3, "loops": 1, "none": 1}, 0.24, 0.15, 0.0, 0,
        {}, pane="shield",
    ),
}  # fmt: skip

MASK_TYPES = tuple(SHAPES)
