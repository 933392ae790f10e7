"""Woven and printed patterns, as seamless tiles of the shares of three dyes.

A tile is float32 (TILE, TILE, 3): the shares of the ground and of two more dyes at every pixel,
which sum to 1. The dyes' colours come from `unmask.masking.palettes`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from unmask.masking.prints import PRINTS
from unmask.masking.tiles import SEED, TILE, mix_dyes, noise, sample_tile, wrap_padded

VARIANTS = 6  # tiles of a woven fabric


def _edge(field: np.ndarray, sharpness: float = 1.0) -> np.ndarray:
    """Coverage 0 to 1 of where a field is positive, with a soft edge."""
    return np.clip(field * sharpness + 0.5, 0, 1)


def _axes() -> tuple[np.ndarray, np.ndarray]:
    """Coordinates x and y (TILE, TILE), 0 to 1."""
    return np.meshgrid(np.arange(TILE) / TILE, np.arange(TILE) / TILE)


def _stamped(draw: Callable[[np.ndarray, tuple[int, int]], None], x: int, y: int) -> np.ndarray:
    """Coverage (TILE, TILE) of what `draw` draws at (x, y), wrapped around the tile's borders."""
    wide = np.zeros((3 * TILE, 3 * TILE), np.uint8)
    draw(wide, (x + TILE, y + TILE))
    return wide.reshape(3, TILE, 3, TILE).max(axis=(0, 2)) / 255


def _dyed(rng: np.random.Generator, variant: int) -> np.ndarray:
    size = (3, 5, 14, 22, 30, 40)[variant]
    return mix_dyes(_edge(noise(rng, size), 0.35), 0.7 * _edge(noise(rng, size) - 1, 0.4))


def _stripes(_rng: np.random.Generator, variant: int) -> np.ndarray:
    _, y = _axes()
    count = (4, 6, 8, 4, 3, 5)[variant]
    phase = (y * count) % 1
    first = _edge(np.abs(phase - 0.5) - (0.25, 0.25, 0.25, 0.42, 0.3, 0.38)[variant], 8)
    second = _edge(0.06 - np.abs(phase - 0.5), 12) if variant >= 3 else 0.0
    return mix_dyes(first, second)


def _checks(_rng: np.random.Generator, variant: int) -> np.ndarray:
    x, y = _axes()
    count = (4, 5, 6, 8, 3, 2)[variant]
    bands = [_edge(np.abs((a * count) % 1 - 0.5) - 0.25, 10) for a in (x, y)]
    if variant < 4:
        return mix_dyes((bands[0] + bands[1]) / 2)
    lines = [_edge(0.05 - np.abs((a * count) % 1 - 0.5), 16) for a in (x, y)]
    return mix_dyes((bands[0] + bands[1]) / 2, 0.7 * np.maximum(*lines))


def _dots(rng: np.random.Generator, variant: int) -> np.ndarray:
    x, y = _axes()
    count = (3, 4, 5, 6, 4, 2)[variant]
    radius = rng.uniform(0.15, 0.32)
    row = np.floor(y * count * 2)
    distance = np.hypot((x * count + row / 2) % 1 - 0.5, ((y * count * 2) % 1 - 0.5) / 2 * 1.2)
    dots = _edge(radius - distance, TILE / count / 3)
    return mix_dyes(dots, dots * (row % 2) if variant >= 4 else 0.0)


def _floral(rng: np.random.Generator, variant: int) -> np.ndarray:
    petals, hearts = np.zeros((TILE, TILE)), np.zeros((TILE, TILE))
    for _ in range((7, 9, 12, 16, 24, 5)[variant]):
        x, y = (int(c) for c in rng.integers(0, TILE, 2))
        reach = rng.uniform(0.7, 1.2) * (15, 13, 11, 9, 6, 20)[variant]
        count, start = int(rng.integers(4, 7)), rng.uniform(0, 90)

        def flower(
            canvas: np.ndarray, at: tuple[int, int], r: float = reach, n: int = count,
            start: float = start,
        ) -> None:  # fmt: skip
            for k in range(n):
                angle = start + 360 * k / n
                turn = np.radians(angle)
                middle = (at[0] + r * 0.55 * np.cos(turn), at[1] + r * 0.55 * np.sin(turn))
                box = (middle, (r, r * 0.62), angle)
                cv2.ellipse(canvas, box, 255, -1, cv2.LINE_AA)

        def heart(canvas: np.ndarray, at: tuple[int, int], r: float = reach) -> None:
            cv2.circle(canvas, at, max(1, round(r * 0.28)), 255, -1, cv2.LINE_AA)

        petals = np.maximum(petals, _stamped(flower, x, y))
        hearts = np.maximum(hearts * (1 - _stamped(flower, x, y)), _stamped(heart, x, y))
    leaves = _edge(noise(rng, 6) - 1.3, 2) * (1 - petals)
    return mix_dyes(petals, np.maximum(hearts, leaves))


WORDS = ("SMILE", "LOVE", "TEAM", "HELLO", "CITY", "2020")


def _text(_rng: np.random.Generator, variant: int) -> np.ndarray:
    font = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)[variant % 2]
    word, scale = WORDS[variant], (1.0, 1.3, 0.7, 0.6, 1.5, 1.2)[variant]

    def write(canvas: np.ndarray, at: tuple[int, int]) -> None:
        (width, height), _ = cv2.getTextSize(word, font, scale, 2)
        origin = (at[0] - width // 2, at[1] + height // 2)
        cv2.putText(canvas, word, origin, font, scale, 255, 2, cv2.LINE_AA)

    spots = ((64, 64),) if variant < 2 or variant > 3 else ((40, 32), (96, 96))
    ink = np.maximum.reduce([_stamped(write, *spot) for spot in spots])
    return mix_dyes(ink)


def _camo(rng: np.random.Generator, variant: int) -> np.ndarray:
    size = (10, 12, 14, 16, 20, 8)[variant]
    first, second = noise(rng, size, 0.7), noise(rng, size, 0.7)
    return mix_dyes(_edge(first - 0.2, 6), _edge(second - 0.5, 6))


def _knit(_rng: np.random.Generator, variant: int) -> np.ndarray:
    x, y = _axes()
    count = (10, 12, 14, 16, 10, 12)[variant]
    column = (x * count) % 1 - 0.5
    stitch = np.abs((y * count * 1.0 + np.abs(column) * 1.4) % 1 - 0.5) * 2
    shade = 0.7 * stitch * (1 - (2 * column) ** 4)
    band = _edge(np.abs((y * 2) % 1 - 0.5) - 0.25, 10) if variant >= 4 else 0.0
    return mix_dyes(shade, 0.8 * band)


def _leopard(rng: np.random.Generator, variant: int) -> np.ndarray:
    field = noise(rng, (9, 10, 11, 12, 14, 8)[variant])
    ring = _edge(0.35 - np.abs(field - 0.9), 4) * _edge(noise(rng, 5) + 0.8, 2)
    return mix_dyes(ring, _edge(field - 1.25, 4))


def _skin(rng: np.random.Generator, variant: int) -> np.ndarray:
    return mix_dyes(_edge(noise(rng, (30, 40, 20, 50, 26, 34)[variant]), 0.3))


def _panels(_rng: np.random.Generator, variant: int) -> np.ndarray:
    """Two cloths with vertical seams; one period spans the whole mask."""
    x, _ = _axes()
    where = (0.5, 0.28, 0.22, 0.5, 0.3, 0.25)[variant]
    side = x < where if where == 0.5 else np.abs(x - 0.5) > 0.5 - where
    return mix_dyes(side.astype(float))


PATTERNS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "dyed": _dyed, "stripes": _stripes, "checks": _checks, "dots": _dots, "floral": _floral,
    "text": _text, "camo": _camo, "knit": _knit, "leopard": _leopard, "panels": _panels,
    "skin": _skin, **PRINTS,
}  # fmt: skip
FABRICS = ("plain", *PATTERNS)
PRINT_VARIANTS = 40  # tiles of a print


def variants_of(fabric: str) -> int:
    """Number of tiles of a fabric."""
    return PRINT_VARIANTS if fabric in PRINTS else VARIANTS


@cache
def stamp() -> np.ndarray:
    """The certification mark of a respirator: coverage (TILE / 2, TILE) float32, 0 to 1."""
    ink = np.zeros((TILE // 2, TILE), np.uint8)
    for text, scale, y in (("KN95", 1.2, 30), ("GB2626-2019", 0.5, 50)):
        cv2.putText(ink, text, (12, y), cv2.FONT_HERSHEY_DUPLEX, scale, 255, 1, cv2.LINE_AA)
    return cv2.GaussianBlur(ink, (5, 5), 1.2).astype(np.float32) / 255


@cache
def tile_mipmaps(fabric: str, variant: int) -> tuple[np.ndarray, ...]:
    """Mipmaps of a fabric's tile: five levels, from TILE pixels a side, each half the last."""
    rng = np.random.default_rng([SEED, FABRICS.index(fabric), variant])
    levels = [PATTERNS[fabric](rng, variant)]
    for _ in range(4):
        side = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (side, side), interpolation=cv2.INTER_AREA))
    return tuple(wrap_padded(level) for level in levels)


def pattern_at(
    fabric: str, variant: int, u: np.ndarray, v: np.ndarray, per_pixel: float
) -> np.ndarray:
    """Sample the pattern of a fabric.

    Args:
        fabric: one of `FABRICS` but 'plain'.
        variant: 0 to `variants_of` the fabric - 1.
        u: (h, w), in periods of the tile.
        v: (h, w), in periods of the tile.
        per_pixel: periods of the tile per pixel of the image, which select the resolution.

    Returns:
        Shares of the dyes (h, w, 3), 0 to 1.
    """
    levels = tile_mipmaps(fabric, variant)
    level = int(np.clip(np.ceil(np.log2(max(per_pixel * TILE, 1)) - 0.4), 0, len(levels) - 1))
    return sample_tile(levels[level], u, v)
