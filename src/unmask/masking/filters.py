"""The cartridges of a respirator: round plates that stand off its sides or its front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unmask.masking.chart import Chart
from unmask.masking.light import Light, shaded
from unmask.masking.pose import Pose

DYES = ((205, 60, 130), (235, 235, 230), (40, 40, 44), (120, 122, 126), (90, 100, 60),
        (225, 190, 60), (150, 80, 40))  # fmt: skip
HIDDEN = 0.55  # sine of the yaw beyond which the far cartridge is out of sight


@dataclass(frozen=True)
class Filter:
    """One cartridge at (u, v), with radii in sizes; `rings` of its relief; `dye` RGB."""

    u: float
    v: float
    radii: tuple[float, float]
    rings: float
    dye: np.ndarray


def drawn_filters(chance: float, rng: np.random.Generator) -> tuple[Filter, ...]:
    """A pair at the sides, or a single one in front."""
    if rng.random() >= chance:
        return ()
    radius, rings = rng.uniform(0.24, 0.42), rng.uniform(0, 30)
    radii = (radius * rng.uniform(0.7, 1.0), radius)
    dye = np.array(DYES[rng.integers(len(DYES))], np.float64) * rng.uniform(0.8, 1.1)
    if rng.random() < 0.2:
        return (Filter(0.0, rng.uniform(0.5, 0.75), (radius, radius), rings, dye),)
    u, v = rng.uniform(0.52, 0.85), rng.uniform(0.6, 0.85)
    return tuple(Filter(side * u, v, radii, rings, dye) for side in (-1, 1))


def seen(
    filters: tuple[Filter, ...], chart: Chart, affine: np.ndarray
) -> list[tuple[Filter, np.ndarray]]:
    """Those that the head does not hide, each with its centre (2,) in image pixels.

    affine: (2, 3), how the mask is worn.
    """
    near = [item for item in filters if np.sign(item.u) * chart.pose.turn < HIDDEN]
    places = np.array([[item.u, item.v] for item in near]).reshape(-1, 2)
    centres = chart.to_image(places @ affine[:, :2].T + affine[:, 2])
    return list(zip(near, centres, strict=True))


def half_axes(item: Filter, pose: Pose) -> np.ndarray:
    """The two half axes (2,) in pixels of a cartridge as this pose shows it."""
    facing = 1.0 if item.u == 0 else np.clip(0.8 - 0.6 * np.sign(item.u) * pose.turn, 0.4, 1)
    return np.array([item.radii[0] * facing, item.radii[1]]) * pose.size


def plate(
    item: Filter, centre: np.ndarray, pose: Pose, light: Light, shade: float,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Coverage (h, w), where its colour reaches (h, w), and colour (3, h, w) of one cartridge.

    centre: (2,), in pixels of the window of this shape.
    """
    axes = half_axes(item, pose)
    ys, xs = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    offset = np.stack([xs - centre[0], ys - centre[1]], axis=-1)
    across, along = (offset @ axis.astype(np.float32) for axis in (pose.right, pose.down))
    r = np.sqrt((across / axes[0]) ** 2 + (along / axes[1]) ** 2).astype(np.float32)
    cover = np.clip((1 - r) * axes.min() + 0.5, 0, 1)
    inner = np.minimum(r, 1.0)
    height = 0.16 * (1 - inner**6) + 0.006 * np.cos(item.rings * inner)
    height = cv2.GaussianBlur(height.astype(np.float32) * np.float32(pose.size), (3, 3), 0)
    tone = shaded(height, light.toward, shade) * (1 - 0.25 * (np.abs(inner - 0.8) < 0.03))
    return cover, np.clip((1.15 - r) * 8, 0, 1), item.dye.astype(np.float32)[:, None, None] * tone
