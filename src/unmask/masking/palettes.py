"""The dyes of a mask: three RGB colours, 0 to 255, as under white light."""

from __future__ import annotations

import cv2
import numpy as np

WHITE, IVORY, BLACK, CHARCOAL = (240, 242, 244), (232, 226, 212), (36, 36, 40), (64, 66, 71)
GREY, SKY, PALE_BLUE, AQUA = (150, 153, 158), (150, 192, 222), (192, 216, 232), (150, 210, 200)
PINK, ROSE, LILAC, NAVY = (236, 190, 200), (205, 80, 110), (190, 180, 215), (34, 42, 74)
RED, YELLOW, OLIVE, ROYAL = (180, 34, 42), (228, 190, 60), (92, 98, 66), (40, 90, 190)
TEAL, BURGUNDY, KHAKI, STEEL = (60, 128, 138), (100, 30, 48), (190, 172, 140), (98, 112, 130)

Colour = tuple[int, int, int]
#: Colours that a plain mask of each type is sold in, with weights.
TYPE_COLOURS: dict[str, tuple[tuple[Colour, float], ...]] = {
    "surgical": ((SKY, 4), (PALE_BLUE, 4), (WHITE, 5), (BLACK, 3), (AQUA, 1.5), (PINK, 0.5),
                 (LILAC, 0.2), (GREY, 0.4), (NAVY, 0.3), (ROSE, 0.15)),
    "kn95": ((WHITE, 9), (IVORY, 1), (BLACK, 2), (GREY, 1), (PINK, 0.4), (STEEL, 0.4),
             (PALE_BLUE, 0.3), (ROSE, 0.2)),
    "n95_cup": ((WHITE, 7), (IVORY, 3), (PALE_BLUE, 0.5), (GREY, 0.4), (AQUA, 0.4)),
    "duckbill": ((WHITE, 5), (PALE_BLUE, 3), (SKY, 1), (AQUA, 0.6)),
    "fish": ((WHITE, 7), (BLACK, 2), (GREY, 0.7), (IVORY, 1), (PINK, 0.5), (KHAKI, 0.4),
             (NAVY, 0.4)),
    "flat": ((WHITE, 6), (SKY, 4), (PALE_BLUE, 3), (BLACK, 3), (AQUA, 1), (GREY, 1), (PINK, 0.6)),
    "cup": ((WHITE, 7), (IVORY, 3), (PALE_BLUE, 1), (BLACK, 1), (GREY, 1), (YELLOW, 0.5),
            (AQUA, 0.5)),
    "respirator": ((CHARCOAL, 4), (GREY, 4), (BLACK, 4), (STEEL, 2), (TEAL, 1), (ROYAL, 0.5),
                   (YELLOW, 0.4), (WHITE, 0.5)),
    "shield": ((WHITE, 3), (GREY, 2), (BLACK, 3), (SKY, 2), (ROYAL, 1), (STEEL, 2)),
    "sponge": ((BLACK, 4), (CHARCOAL, 5), (STEEL, 2), (GREY, 1), (PINK, 0.6), (NAVY, 0.6),
               (KHAKI, 0.6), (WHITE, 0.5)),
}  # fmt: skip
#: Colours of cloth, with weights.
CLOTHS = (
    (BLACK, 9), (CHARCOAL, 2), (NAVY, 2), (GREY, 1.2), (WHITE, 2.5), (RED, 0.8), (BURGUNDY, 0.6),
    (TEAL, 0.6), (ROYAL, 0.7), (YELLOW, 0.5), (PINK, 0.8), (OLIVE, 0.5), (KHAKI, 0.8),
    (STEEL, 0.7), (LILAC, 0.4), (IVORY, 0.6),
)  # fmt: skip
SKINS = ((240, 205, 182), (224, 178, 148), (198, 146, 114), (160, 108, 78), (112, 72, 52),
         (78, 52, 42))  # fmt: skip
BOLD = (RED, ROYAL, WHITE, YELLOW, BLACK, (30, 120, 60), NAVY, (240, 120, 30))
CAMOUFLAGE = (((92, 98, 66), (52, 56, 40), (150, 138, 104)), ((190, 172, 140), (140, 116, 84),
              (220, 208, 184)), ((150, 153, 158), (80, 84, 90), (40, 42, 46)))  # fmt: skip


def _weighted_colour(
    colours: tuple[tuple[Colour, float], ...], rng: np.random.Generator
) -> np.ndarray:
    """One of the colours, sampled by weight."""
    bounds = np.cumsum([weight for _, weight in colours])
    index = np.searchsorted(bounds[:-1], rng.random() * bounds[-1], "right")
    return np.array(colours[int(index)][0], np.float64)


def _any_colour(rng: np.random.Generator) -> np.ndarray:
    """Any colour, muted ones more often."""
    hue, saturation, value = rng.uniform(0, 360), rng.beta(2, 2.5), rng.uniform(0.3, 0.95)
    pixel = np.array([[[hue, saturation, value]]], np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64) * 255


def sample_palette(mask_type: str, fabric: str, rng: np.random.Generator) -> np.ndarray:
    """Sample the dyes of a mask.

    Args:
        mask_type: one of `unmask.masking.shapes.MASK_TYPES`.
        fabric: one of `unmask.masking.fabrics.FABRICS`.
        rng: for the sample.

    Returns:
        Ground, first and second dye (3, 3), RGB, 12 to 248.
    """
    usual = rng.random() < 0.75
    if fabric == "plain":
        colours = TYPE_COLOURS.get(mask_type, CLOTHS)
        any_colour = rng.random() < 0.06
        ground = _any_colour(rng) if any_colour else _weighted_colour(colours, rng)
        dyes = np.tile(ground, (3, 1))
    elif fabric == "camo":
        dyes = np.array(CAMOUFLAGE[rng.integers(len(CAMOUFLAGE))], np.float64)
    elif fabric == "leopard":
        dyes = np.array([KHAKI if rng.random() < 0.7 else GREY, BLACK, (130, 92, 56)], np.float64)
    elif fabric == "skin":
        ground = np.array(SKINS[rng.integers(len(SKINS))], np.float64) * rng.uniform(0.85, 1.1)
        dyes = np.array([ground, ground * rng.uniform(0.75, 1.0), ground])
    elif fabric == "flag":
        dyes = np.array(BOLD, np.float64)[rng.permutation(len(BOLD))[:3]]
    elif fabric == "grin":
        if rng.random() < 0.3:
            ground = np.array(SKINS[rng.integers(len(SKINS))], np.float64)
        else:
            ground = _weighted_colour(CLOTHS, rng)
        lips = (RED, BLACK, BURGUNDY, ROSE, WHITE)[rng.integers(5)]
        dyes = np.array([ground, lips, WHITE if lips != WHITE else BLACK], np.float64)
    elif fabric in ("dyed", "knit"):
        ground = _weighted_colour(CLOTHS, rng) if usual else _any_colour(rng)
        near = ground * rng.uniform(0.55, 0.9) + rng.uniform(-15, 15, 3)
        far = _any_colour(rng) if rng.random() < 0.3 else ground * 0.5 + 110
        dyes = np.array([ground, near, far])
    else:
        ground = _weighted_colour(CLOTHS, rng) if usual else _any_colour(rng)
        first = np.array(WHITE, np.float64) if rng.random() < 0.4 else _any_colour(rng)
        if np.abs(first - ground).max() < 70:
            first = 255 - ground
        dyes = np.array([ground, first, _any_colour(rng)])
    return np.clip(dyes + rng.normal(0, 5, 3), 12, 248)
