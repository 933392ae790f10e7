"""Prints that span the mask once: logos, flags, cartoon mouths and pictures, as tiles.

A tile is as in `unmask.masking.fabrics`; its width spans the mask from jaw to jaw, its height from
nose to neck, with the mouth in the middle.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import ArrayLike

from unmask.masking.tiles import TILE, mix_dyes, noise

SUBSAMPLES = 4  # subsamples per pixel of the tile, along a side
SIDE = SUBSAMPLES * TILE
WORDS = ("NO", "YES", "OK", "FUN", "ART", "LIVE", "PEACE", "DREAM", "RUN", "GO")
FONTS = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_COMPLEX)


class Ink:
    """A canvas for one dye; points and lengths are in units of the tile's side."""

    def __init__(self) -> None:
        """Start with a blank canvas."""
        self.canvas = np.zeros((SIDE, SIDE), np.uint8)

    def polygon(self, points: ArrayLike) -> None:
        """Fill a polygon (n, 2)."""
        cv2.fillPoly(self.canvas, [np.round(np.asarray(points) * SIDE).astype(np.int32)], 255)

    def ellipse(
        self, at: tuple[float, float], axes: tuple[float, float],
        arc: tuple[float, float] = (0, 360), width: float | None = None,
    ) -> None:  # fmt: skip
        """Draw an ellipse or an elliptic arc.

        Args:
            at: x and y of the centre.
            axes: half axes in x and y.
            arc: start and end angle in degrees, clockwise from the right.
            width: of its line; None fills it.
        """
        thickness = -1 if width is None else max(1, round(width * SIDE))
        centre, radii = ((round(x * SIDE), round(y * SIDE)) for x, y in (at, axes))
        cv2.ellipse(self.canvas, centre, radii, 0, *arc, 255, thickness)

    def word(self, text: str, at: tuple[float, float], width: float, font: int) -> None:
        """Write a word.

        Args:
            text: the word.
            at: x and y of its centre.
            width: of the word.
            font: one of OpenCV's Hershey fonts.
        """
        (wide, high), _ = cv2.getTextSize(text, font, 1.0, 3)
        scale = width * SIDE / wide
        origin = (round(at[0] * SIDE - width * SIDE / 2), round(at[1] * SIDE + high * scale / 2))
        cv2.putText(self.canvas, text, origin, font, scale, 255, max(2, round(5 * scale)))

    def share(self) -> np.ndarray:
        """Coverage (TILE, TILE), 0 to 1."""
        return cv2.resize(self.canvas, (TILE, TILE), interpolation=cv2.INTER_AREA) / 255


def _star(at: tuple[float, float], radius: float, points: int, depth: float) -> np.ndarray:
    """Corners (2 * points, 2); `depth` is the ratio of the inner to the outer radius."""
    angles = np.arange(2 * points) * np.pi / points - np.pi / 2
    radii = radius * np.where(np.arange(2 * points) % 2, depth, 1.0)
    return np.array(at) + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _logo(rng: np.random.Generator, variant: int) -> np.ndarray:
    first, second = Ink(), Ink()
    big = rng.random() < 0.5
    at = (0.5, rng.uniform(0.35, 0.6)) if big else tuple(rng.uniform(0.25, 0.75, 2))
    radius = rng.uniform(0.14, 0.34) if big else rng.uniform(0.06, 0.12)
    kind = variant % 5
    if kind == 0:
        first.ellipse(at, (radius, radius))
        second.polygon(_star(at, radius * 0.8, int(rng.integers(3, 9)), rng.uniform(0.3, 0.7)))
    elif kind == 1:
        first.polygon(_star(at, radius, int(rng.integers(4, 12)), rng.uniform(0.35, 0.85)))
        second.word(str(rng.choice(WORDS)), at, radius, int(rng.choice(FONTS)))
    elif kind == 2:
        first.ellipse(at, (radius, radius), (20, 340), radius * rng.uniform(0.2, 0.5))
        second.ellipse(at, (radius * 0.4, radius * 0.4))
    elif kind == 3:
        first.word(str(rng.choice(WORDS)), at, 2 * radius, int(rng.choice(FONTS)))
        second.ellipse((at[0], at[1] + radius * 0.8), (radius, radius * 0.3), (10, 170), 0.02)
    else:
        corners = np.array([[-1, -1], [1, -1], [1, 0.2], [0, 1.2], [-1, 0.2]])
        first.polygon(np.array(at) + radius * corners)
        second.polygon(np.array(at) + radius * 0.7 * corners)
    return mix_dyes(first.share(), second.share())


def _flag(rng: np.random.Generator, variant: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(TILE) / TILE, np.arange(TILE) / TILE)
    kind = variant % 6
    if kind < 2:
        along = (x, y)[kind]
        return mix_dyes((along > 1 / 3).astype(float), (along > 2 / 3).astype(float))
    if kind == 2:
        wide = rng.uniform(0.05, 0.12)
        cross = np.minimum(np.abs(x - rng.uniform(0.3, 0.5)), np.abs(y - 0.45))
        return mix_dyes((cross < wide).astype(float), (cross < wide / 2).astype(float))
    if kind == 3:
        disc = np.hypot(x - 0.5, y - 0.45) < rng.uniform(0.15, 0.3)
        return mix_dyes(disc.astype(float), (y > 0.8) * (rng.random() < 0.5))
    if kind == 4:
        wedge = x < rng.uniform(0.3, 0.5) - np.abs(y - 0.5)
        return mix_dyes((y > 0.5).astype(float), wedge.astype(float))
    stripes = (y * rng.integers(6, 14)) % 1 > 0.5
    return mix_dyes(stripes.astype(float), ((x < 0.4) & (y < 0.5)).astype(float))


def _grin(rng: np.random.Generator, variant: int) -> np.ndarray:
    """A cartoon mouth: with teeth, a smile, fangs, lips, or a nose and whiskers."""
    first, second = Ink(), Ink()
    at, wide = (0.5, rng.uniform(0.42, 0.6)), rng.uniform(0.14, 0.36)
    high = wide * rng.uniform(0.3, 0.8)
    kind = variant % 5
    if kind == 0:
        first.ellipse(at, (wide, high), (0, 180))
        second.ellipse(at, (wide * 0.9, high * 0.45), (0, 180))
    elif kind == 1:
        first.ellipse(at, (wide, high), (15, 165), rng.uniform(0.012, 0.04))
    elif kind == 2:
        first.ellipse(at, (wide, high * 0.6))
        for offset in np.linspace(-0.75, 0.75, int(rng.integers(4, 10))):
            half, top = wide * 0.1, at[1] - high * 0.3
            x = at[0] + offset * wide
            second.polygon([(x - half, top), (x + half, top), (x, top + high * 0.7)])
    elif kind == 3:
        first.ellipse((at[0] - wide / 2, at[1] - 0.1), (wide / 2, high * 0.3), (160, 380))
        first.ellipse((at[0] + wide / 2, at[1] - 0.1), (wide / 2, high * 0.3), (160, 380))
        second.ellipse((at[0], at[1] + 0.08), (wide * 0.6, high * 0.25))
    else:
        first.ellipse((0.5, 0.24), (0.09, 0.06))
        first.ellipse((0.5 - wide / 2, at[1] - 0.1), (wide / 2, high / 2), (0, 180), 0.018)
        first.ellipse((0.5 + wide / 2, at[1] - 0.1), (wide / 2, high / 2), (0, 180), 0.018)
        whisker = np.array([[0.18, 0], [0.42, 0], [0.42, 0.01], [0.18, 0.01]])
        for tilt in (-0.05, 0.0, 0.05):
            drop = 0.38 + tilt + tilt * np.array([0, 1, 1, 0])
            for side in (-1, 1):
                first.polygon(whisker * [side, 1] + np.column_stack([np.full(4, 0.5), drop]))
    return mix_dyes(first.share(), second.share())


def _photo(rng: np.random.Generator, _variant: int) -> np.ndarray:
    """Soft tones as of a landscape photo: hills, sky and a bright disc."""
    _, y = np.meshgrid(np.arange(TILE) / TILE, np.arange(TILE) / TILE)
    hills = y - rng.uniform(0.3, 0.7) + 0.1 * noise(rng, rng.uniform(8, 40)).mean(0)
    first = np.clip(hills * rng.uniform(4, 60) + 0.5, 0, 1)
    first = first * np.clip(0.8 + 0.25 * noise(rng, rng.uniform(2, 12)), 0, 1)
    sun = Ink()
    sun.ellipse(tuple(rng.uniform(0.2, 0.8, 2)), (rng.uniform(0.04, 0.2),) * 2)
    glow = cv2.GaussianBlur(sun.share(), (0, 0), float(rng.uniform(0.5, 10)))
    return mix_dyes(first, np.maximum(glow, np.clip(0.3 * noise(rng, 10) - 0.2, 0, 1)))


PRINTS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "logo": _logo, "flag": _flag, "grin": _grin, "photo": _photo,
}  # fmt: skip
