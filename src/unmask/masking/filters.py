"""The filter cartridges of a respirator: round plates on its sides or its front."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from unmask.masking.chart import Chart
from unmask.masking.light import Light, shading
from unmask.masking.pose import Pose

DYES = ((205, 60, 130), (235, 235, 230), (40, 40, 44), (120, 122, 126), (90, 100, 60),
        (225, 190, 60), (150, 80, 40))  # fmt: skip
HIDDEN = 0.55  # sine of the yaw beyond which the far cartridge is hidden


@dataclass(frozen=True)
class Filter:
    """One cartridge.

    Attributes:
        u: of its centre.
        v: of its centre.
        radii: across and along the face, in inter-ocular distances.
        rings: radians of the cosine, from centre to rim, that its relief has.
        dye: (3,) RGB.
    """

    u: float
    v: float
    radii: tuple[float, float]
    rings: float
    dye: np.ndarray


def sample_filters(chance: float, rng: np.random.Generator) -> tuple[Filter, ...]:
    """Sample none, a pair at the sides, or one in front; any has the probability `chance`."""
    if rng.random() >= chance:
        return ()
    radius, rings = rng.uniform(0.24, 0.42), rng.uniform(0, 30)
    radii = (radius * rng.uniform(0.7, 1.0), radius)
    dye = np.array(DYES[rng.integers(len(DYES))], np.float64) * rng.uniform(0.8, 1.1)
    if rng.random() < 0.2:
        return (Filter(0.0, rng.uniform(0.5, 0.75), (radius, radius), rings, dye),)
    u, v = rng.uniform(0.52, 0.85), rng.uniform(0.6, 0.85)
    return tuple(Filter(side * u, v, radii, rings, dye) for side in (-1, 1))


def visible_filters(
    filters: tuple[Filter, ...], chart: Chart, affine: np.ndarray
) -> list[tuple[Filter, np.ndarray]]:
    """The cartridges that the head does not hide.

    Args:
        filters: of the mask.
        chart: of the face.
        affine: (2, 3), from the mask's (u, v) to the face's.

    Returns:
        Each with its centre (2,) in pixels of the image.
    """
    visible = [item for item in filters if np.sign(item.u) * chart.pose.turn < HIDDEN]
    uv = np.array([[item.u, item.v] for item in visible]).reshape(-1, 2)
    centres = chart.to_image(uv @ affine[:, :2].T + affine[:, 2])
    return list(zip(visible, centres, strict=True))


def half_axes(item: Filter, pose: Pose) -> np.ndarray:
    """Half axes (2,) in pixels of the ellipse that a cartridge appears as in this pose."""
    facing = 1.0 if item.u == 0 else np.clip(0.8 - 0.6 * np.sign(item.u) * pose.turn, 0.4, 1)
    return np.array([item.radii[0] * facing, item.radii[1]]) * pose.size


def render_filter(
    item: Filter, centre: np.ndarray, pose: Pose, light: Light, shade: float,
    shape: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Render one cartridge in a window of the image.

    Args:
        item: the cartridge.
        centre: (2,) in pixels of the window.
        pose: of the face.
        light: on the face.
        shade: contrast of the shading by relief.
        shape: (h, w) of the window.

    Returns:
        Coverage (h, w), coverage of its colour (h, w), which reaches a little further, both 0 to 1,
        and colour (3, h, w), 0 to 255.
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
    tone = shading(height, light.toward, shade) * (1 - 0.25 * (np.abs(inner - 0.8) < 0.03))
    return cover, np.clip((1.15 - r) * 8, 0, 1), item.dye.astype(np.float32)[:, None, None] * tone
