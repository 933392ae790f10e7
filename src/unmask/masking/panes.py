"""The see-through part of a mask: a window in the cloth, or the whole of a shield but its rim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLEAR, TINTED = 0.4, 0.75  # chances, cumulated: clear, tinted, and else frosted
VISIBLE = 0.08  # least opacity that is drawn; what is fainter is as clear as air


@dataclass(frozen=True)
class Pane:
    """A pane: `opacity` 0..1 between reflections, `dye` RGB under white light.

    window: centre and half axes (4,) in (u, v) and the power of the superellipse, for a window;
    rim: width in sizes of what frames a shield; streaks: (n, 4), reflections as slope, place,
    width and strength.
    """

    kind: str
    window: tuple[float, float, float, float, float]
    rim: float
    opacity: float
    dye: np.ndarray
    streaks: np.ndarray


def drawn_pane(kind: str | None, rng: np.random.Generator) -> Pane | None:
    """A pane of this kind."""
    if kind is None:
        return None
    how = rng.random()
    if how < CLEAR:
        opacity, dye = 0.0, np.full(3, 235.0)
    elif how < TINTED:
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


def glazed(
    pane: Pane, u: np.ndarray, v: np.ndarray, inside: np.ndarray, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pane is, how opaque and how mirroring, each (h, w) in 0..1.

    inside: distance (h, w) from the mask's edge in sizes; size: pixels in one of those.
    """
    if pane.kind == "window":
        x, y, wide, high, power = pane.window
        edge = (np.abs((u - x) / wide) ** power + np.abs((v - y) / high) ** power) ** (1 / power)
        cover = np.clip((1 - edge) * high * size + 0.5, 0, 1)
    else:
        cover = np.clip((inside - pane.rim) * size + 0.5, 0, 1)
    mirror = np.zeros_like(u)
    for slope, place, width, strength in pane.streaks.astype(np.float32):
        band = np.maximum(1 - ((u - place + slope * (v - 0.6)) / width) ** 2, 0)
        mirror = np.maximum(mirror, strength * band)
    opacity = np.float32(pane.opacity) + (1 - np.float32(pane.opacity)) * mirror
    opacity[opacity < VISIBLE] = 0
    return cover.astype(np.float32), opacity, mirror
