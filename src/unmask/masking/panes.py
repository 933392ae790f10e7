"""The transparent part of a mask: a window in the cloth, or all of a shield but its rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLEAR, TINTED = 0.4, 0.75  # cumulative probabilities of clear and tinted panes; others are frosted
VISIBLE = 0.08  # smallest opacity that is drawn


@dataclass(frozen=True)
class Pane:
    """A pane.

    Attributes:
        kind: 'window' or 'shield'.
        window: of a window, u and v of its centre, its half axes in u and v, and the exponent of
            the superellipse.
        rim: of a shield, the width of its opaque rim in inter-ocular distances.
        opacity: 0 to 1, outside reflections.
        dye: (3,) RGB.
        streaks: (n, 4), reflections: slope, position in u, width in u, and strength 0 to 1.
    """

    kind: str
    window: tuple[float, float, float, float, float]
    rim: float
    opacity: float
    dye: np.ndarray
    streaks: np.ndarray


def sample_pane(kind: str | None, rng: np.random.Generator) -> Pane | None:
    """Sample a pane of this kind; None where the mask has none."""
    if kind is None:
        return None
    finish = rng.random()
    if finish < CLEAR:
        opacity, dye = 0.0, np.full(3, 235.0)
    elif finish < TINTED:
        opacity, dye = rng.uniform(0.12, 0.6), rng.uniform(20, 235, 3)
    else:
        opacity, dye = rng.uniform(0.45, 0.9), np.full(3, rng.uniform(170, 235))
    streaks = np.stack([
        [rng.normal(0, 0.6), rng.uniform(-0.9, 0.9), rng.uniform(0.02, 0.15), rng.uniform(0.2, 0.9)]
        for _ in range(rng.integers(1, 4))
    ])  # fmt: skip
    if rng.random() < 0.4:
        streaks[:, 3] = 0
    window = (rng.normal(0, 0.03), rng.uniform(0.56, 0.64), rng.uniform(0.38, 0.75),
              rng.uniform(0.18, 0.30), rng.uniform(2, 6))  # fmt: skip
    return Pane(kind, window, rng.uniform(0.02, 0.11), opacity, dye, streaks)


def render_pane(
    pane: Pane, u: np.ndarray, v: np.ndarray, inside: np.ndarray, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Render a pane.

    Args:
        pane: the pane.
        u: (h, w) of every pixel.
        v: (h, w) of every pixel.
        inside: (h, w) distance from the mask's edge in inter-ocular distances.
        size: inter-ocular distance in pixels.

    Returns:
        Coverage, opacity and reflectance, each (h, w), 0 to 1.
    """
    if pane.kind == "window":
        x, y, wide, high, power = pane.window
        edge = (np.abs((u - x) / wide) ** power + np.abs((v - y) / high) ** power) ** (1 / power)
        cover = np.clip((1 - edge) * high * size + 0.5, 0, 1)
    else:
        cover = np.clip((inside - pane.rim) * size + 0.5, 0, 1)
    mirror = np.zeros_like(u)
    for slope, position, width, strength in pane.streaks.astype(np.float32):
        band = np.maximum(1 - ((u - position + slope * (v - 0.6)) / width) ** 2, 0)
        mirror = np.maximum(mirror, strength * band)
    opacity = np.float32(pane.opacity) + (1 - np.float32(pane.opacity)) * mirror
    opacity[opacity < VISIBLE] = 0
    return cover.astype(np.float32), opacity, mirror
