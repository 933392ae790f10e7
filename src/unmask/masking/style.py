"""Samples the style of one mask: everything about it that does not depend on the face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unmask.masking.fabrics import FABRICS, variants_of
from unmask.masking.filters import Filter, sample_filters
from unmask.masking.finish import DEFECTS, Finish, sample_finish
from unmask.masking.outlines import sample_outline
from unmask.masking.palettes import sample_palette
from unmask.masking.panes import Pane, sample_pane
from unmask.masking.prints import PRINTS
from unmask.masking.relief import WRINKLES
from unmask.masking.shapes import MASK_TYPES, SHAPES
from unmask.masking.straps import WIDTHS
from unmask.masking.wear import WEARS, sample_wear

#: Factors of the fabrics' weights by mask type, where not 1: disposable masks are mostly plain.
USUAL = {
    "surgical": {"plain": 6.0, "knit": 0.05, "panels": 0.1, "camo": 0.3, "leopard": 0.4},
    "kn95": {"plain": 12.0, "knit": 0.05, "panels": 0.2},
    "n95_cup": {"plain": 30.0, "knit": 0.05, "panels": 0.1},
    "duckbill": {"plain": 20.0, "knit": 0.05, "panels": 0.1},
    "fish": {"plain": 10.0, "knit": 0.05, "panels": 0.2},
    "sponge": {"plain": 4.0, "panels": 3.0, "knit": 0.2, "checks": 0.3},
    "bandana": {"plain": 0.6, "panels": 0.05},
    "cup": {"plain": 15.0, "knit": 0.05, "panels": 0.1},
    "respirator": {"plain": 30.0, "knit": 0.02, "panels": 0.1},
    "shield": {"plain": 40.0},
    "flat": {"plain": 1.5},
}
#: Smallest and largest period of a fabric's tile, in inter-ocular distances.
PERIODS = {"dyed": (0.6, 2.0), "stripes": (0.5, 1.4), "checks": (0.5, 1.4), "dots": (0.4, 1.1),
           "floral": (0.7, 1.6), "text": (0.9, 1.8), "camo": (0.8, 1.8), "knit": (0.4, 0.7),
           "leopard": (0.6, 1.2), "skin": (1.0, 2.0)}  # fmt: skip
PERIOD = (0.6, 1.4)  # of a fabric that is not in PERIODS
ASPECT = np.array([1.15, 1.3])  # inter-ocular distances per unit of u and of v


@dataclass(frozen=True)
class Style:
    """The style of one mask. Lengths are in inter-ocular distances.

    Attributes:
        mask_type: one of `MASK_TYPES`.
        fabric: one of `FABRICS`.
        wear: one of `WEARS`.
        outline: (n, 2) in the mask's own (u, v).
        affine: (2, 3) from the mask's (u, v) to the face's, from `unmask.masking.wear`.
        dyes: (3, 3) RGB of the ground and of two more dyes.
        variant: number of the fabric's tile.
        weave: (2, 3) affine transform from (u, v) to periods of the fabric's tile.
        period: width of the fabric's tile.
        creases: kinds to strengths, see `unmask.masking.relief`.
        dome: height of the bulge.
        pleats: number, opening 0 to 1, and depth.
        folds: strength of wrinkles, index of their map, its period, shift (2,) and turn in radians.
        straps: one of `unmask.masking.straps.WIDTHS`.
        strap_width: of the straps.
        strap_dye: (3,) RGB.
        slack: sag of the straps.
        valve: u, v and radius of an exhalation valve, or None.
        gloss: 0 to 0.08, strength of highlights.
        brightness: of the mask over a usual one's, about 1.
        filters: cartridges.
        pane: transparent part, or None.
        finish: defects.
    """

    mask_type: str
    fabric: str
    wear: str
    outline: np.ndarray
    affine: np.ndarray
    dyes: np.ndarray
    variant: int
    weave: np.ndarray
    period: float
    creases: Mapping[str, float]
    dome: float
    pleats: tuple[int, float, float]
    folds: tuple[float, int, float, np.ndarray, float]
    straps: str
    strap_width: float
    strap_dye: np.ndarray
    slack: float
    valve: tuple[float, float, float] | None
    gloss: float
    brightness: float
    filters: tuple[Filter, ...]
    pane: Pane | None
    finish: Finish

    def on_face(self, uv: np.ndarray) -> np.ndarray:
        """Convert points (n, 2) from the mask's own (u, v) to the face's."""
        return uv @ self.affine[:, :2].T + self.affine[:, 2]


def weighted_choice(weights: Mapping[str, float], rng: np.random.Generator) -> str:
    """One of the names, sampled by weight."""
    names = [name for name in sorted(weights) if weights[name] > 0]
    bounds = np.cumsum([weights[name] for name in names])
    return names[int(np.searchsorted(bounds[:-1], rng.random() * bounds[-1], "right"))]


def check_weights(kind: str, weights: Mapping[str, float], known: tuple[str, ...]) -> None:
    """Check weights of a random choice.

    Args:
        kind: what is chosen, for the error.
        weights: names to weights.
        known: allowed names.

    Raises:
        ValueError: for an unknown name, a negative or infinite weight, or no positive one.
    """
    for name, weight in weights.items():
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: the known ones are {', '.join(known)}")
        if not 0 <= weight < np.inf:
            raise ValueError(f"the weight of {kind} {name!r} is {weight}, not a positive number")
    if not sum(weights.values()) > 0:
        raise ValueError(f"no {kind} has a positive weight")


def check_chances(kind: str, chances: Mapping[str, float], known: tuple[str, ...]) -> None:
    """Check probabilities of independent events.

    Args:
        kind: what the names are, for the error.
        chances: names to probabilities.
        known: allowed names.

    Raises:
        ValueError: for an unknown name or a probability outside 0 to 1.
    """
    for name, chance in chances.items():
        if name not in known:
            raise ValueError(f"unknown {kind} {name!r}: the known ones are {', '.join(known)}")
        if not 0 <= chance <= 1:
            raise ValueError(f"the chance of {kind} {name!r} is {chance}, not in 0..1")


def sample_style(
    rng: np.random.Generator,
    types: Mapping[str, float],
    fabrics: Mapping[str, float],
    wear: Mapping[str, float],
    defects: Mapping[str, float],
    variation: float,
) -> Style:
    """Sample a style.

    Args:
        rng: for the sample.
        types: names of `MASK_TYPES` to weights.
        fabrics: names of `FABRICS` to weights, which USUAL scales by mask type.
        wear: names of `WEARS` to weights.
        defects: names of `DEFECTS` to probabilities.
        variation: how much the outline differs from its type's, 0 to 1.

    Raises:
        ValueError: for an unknown name, or weights or probabilities out of range.
    """
    check_weights("mask type", types, MASK_TYPES)
    check_weights("fabric", fabrics, FABRICS)
    check_weights("wear", wear, WEARS)
    check_chances("defect", defects, DEFECTS)
    mask_type = weighted_choice(types, rng)
    usual = USUAL.get(mask_type, {})
    fabric = weighted_choice({name: w * usual.get(name, 1.0) for name, w in fabrics.items()}, rng)
    worn = weighted_choice(wear, rng)
    shape = SHAPES[mask_type]
    dyes = sample_palette(mask_type, fabric, rng)
    weave, period = _weave(fabric, rng)
    creases = {
        name: rng.uniform(0.5, 1.1)
        for name, chance in (shape.creases or {}).items()
        if rng.random() < chance
    }
    has_valve = creases.pop("valve", None) is not None
    if has_valve or fabric != "plain":
        creases.pop("stamp", None)
    straps = weighted_choice(shape.straps, rng)
    return Style(
        mask_type, fabric, worn, sample_outline(mask_type, rng, variation), sample_wear(worn, rng),
        dyes,
        int(rng.integers(variants_of(fabric))), weave, period, creases,
        shape.dome * rng.uniform(0.8, 1.25),
        (shape.pleats, rng.uniform(0.05, 0.3), rng.uniform(0.010, 0.032)),
        (shape.folds * rng.gamma(4, 0.25), int(rng.integers(WRINKLES)), rng.uniform(1.6, 3.2),
         rng.uniform(0, 1, 2), rng.normal(0, 0.5)),
        straps, _strap_width(straps, rng), _strap_dye(straps, dyes[0], rng),
        rng.uniform(-0.01, 0.05),
        (rng.choice([-1, 1]) * rng.uniform(0.3, 0.45), rng.uniform(0.6, 0.75),
         rng.uniform(0.16, 0.22)) if has_valve else None,
        rng.uniform(0.0, 0.08), rng.normal(1.0, 0.05),
        sample_filters(shape.filters, rng), sample_pane(shape.pane, rng),
        sample_finish(rng, defects, shape.pasted),
    )  # fmt: skip


def _weave(fabric: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The transform (2, 3) from (u, v) to periods of a fabric's tile, and its period."""
    if fabric in ("plain", "panels"):
        return np.array([[0.5, 0, 0.5], [0, 0.5, 0]]), 2.0
    if fabric in PRINTS:
        shift = rng.normal(0, 0.03, 2)
        return np.array([[0.5, 0, 0.5 + shift[0]], [0, 0.8, shift[1]]]), 2.0
    period = rng.uniform(*PERIODS.get(fabric, PERIOD))
    any_angle = fabric in ("floral", "camo", "dyed", "leopard", "skin")
    turn = rng.uniform(0, 2 * np.pi) if any_angle else rng.normal(0, 0.06)
    if fabric in ("stripes", "checks") and rng.random() < 0.4:
        turn += rng.choice([np.pi / 2, np.pi / 4])
    cos, sin = np.cos(turn) / period, np.sin(turn) / period
    linear = np.array([[cos, -sin], [sin, cos]]) * ASPECT
    return np.hstack([linear, rng.uniform(0, 1, (2, 1))]), period


def _strap_width(straps: str, rng: np.random.Generator) -> float:
    """Width in inter-ocular distances, log-uniform in the range of the kind."""
    return float(np.exp(rng.uniform(*np.log(WIDTHS[straps]))))


def _strap_dye(straps: str, ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour (3,) of the straps of a mask whose cloth has the colour `ground` (3,)."""
    if straps in ("bands", "visor"):
        return ground
    if rng.random() < 0.1:
        return rng.uniform(15, 240, 3)
    if straps == "head" and rng.random() < 0.3:
        return np.array([205.0, 180.0, 70.0])
    pale = rng.random() < (0.9 if ground.mean() > 110 else 0.2)
    return np.full(3, rng.uniform(215, 245)) if pale else np.minimum(ground, 60.0)
