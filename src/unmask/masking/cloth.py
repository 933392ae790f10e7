"""Renders the cloth of one mask: its dyes, its relief under the light, and its transparency."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike

from unmask.masking.chart import Chart, uv_maps
from unmask.masking.fabrics import pattern_at
from unmask.masking.light import PAPER, Light, shading
from unmask.masking.panes import render_pane
from unmask.masking.relief import (
    dome_height,
    pleat_height,
    seam_relief,
    valve_relief,
    wrinkle_height,
)
from unmask.masking.style import Style
from unmask.masking.tiles import TILE, sample_tile, wrap_padded

SHADE = 0.75  # contrast of the shading by relief


def render_cloth(
    chart: Chart,
    style: Style,
    light: Light,
    body: np.ndarray,
    corner: tuple[int, int],
    printed: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Render the cloth over a window of the image, shaded by its relief.

    Brightness and colour cast of the face's light are not applied yet.

    Every other variant of the fabric `skin` takes the colour of the face itself, every other one of
    the fabric `photo` the picture `printed`.

    Args:
        chart: of the face.
        style: of the mask.
        light: on the face.
        body: coverage (h, w) of the mask in the window, 0 to 1.
        corner: x and y of the window's first pixel.
        printed: RGB uint8 picture for the fabric `photo`, or None for a synthetic one.

    Returns:
        Colour (3, h, w), 0 to 255, and opacity (h, w), 0 to 1, or None for an opaque cloth.
    """
    size, shade = np.float32(chart.pose.size), style.finish.shade
    low, high = style.outline.min(0), style.outline.max(0)
    grid = np.meshgrid(np.linspace(low[0], high[0], 9), np.linspace(low[1], high[1], 9))
    uv = np.stack([axis.ravel() for axis in grid], axis=1)
    u, v = uv_maps(uv, chart.to_image(style.on_face(uv)), corner, body.shape)

    inside = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / size
    strength, index, period, shift, turn = style.folds
    wrinkle = np.float32(strength) * wrinkle_height(u, v, index, period, shift, turn)
    height = dome_height(u, v, style.dome) + np.float32(0.022) * wrinkle
    count, opening, depth = style.pleats
    if count:
        height += pleat_height(u, v + np.float32(0.015) * wrinkle, count, opening, depth)
    seams, dark = seam_relief(u, v, inside, style.creases)
    height += seams
    if style.valve:
        bump, cover = valve_relief(u, v, style.valve[:2], style.valve[2])
        height += bump
    tone = shading(height * size, light.toward, SHADE * shade)
    edge = np.maximum(1 - inside / np.float32(0.1), 0) ** 2
    tone *= (1 - dark) * (1 - np.float32(0.22 * min(shade, 1)) * edge)

    dyes = style.dyes
    if style.fabric == "skin" and style.variant % 2:
        own = light.skin / (light.cast * light.white / PAPER)
        dyes = dyes * (own / dyes[0])
    colour = _dyed(style, dyes, u, v, 1 / (style.period * chart.pose.size), printed)
    if style.valve:
        disc = np.float32(0.92) * colour.mean((1, 2), keepdims=True)
        colour = colour + (disc - colour) * (0.6 * cover)
    if style.finish.border:
        rim = np.clip((np.float32(style.finish.border) - inside) * size + 0.5, 0, 1)
        colour = colour + (_planes(style.finish.border_dye) - colour) * rim
    sheen = np.maximum(tone - 1, 0) * np.float32(255 * (0.12 + style.gloss))
    colour = colour * tone + sheen
    if style.pane is None:
        return colour, None
    pane, opacity, mirror = render_pane(style.pane, u, v, inside, chart.pose.size)
    glass = _planes(style.pane.dye)
    glass = glass + (250 - glass) * mirror
    return colour + (glass - colour) * pane, 1 - pane * (1 - opacity)


def _planes(dye: ArrayLike) -> np.ndarray:
    """A dye (3,) as planes (3, 1, 1) float32."""
    return np.asarray(dye, np.float32)[:, None, None]


def _dyed(
    style: Style, colours: np.ndarray, u: np.ndarray, v: np.ndarray, per_pixel: float,
    printed: np.ndarray | None,
) -> np.ndarray:  # fmt: skip
    """Colour (3, h, w) of flat cloth in three dyes (3, 3); `per_pixel` as in `pattern_at`."""
    if style.fabric == "plain":
        return _planes(colours[0])
    (a, b, c), (d, e, f) = style.weave.astype(np.float32)
    x, y = a * u + b * v + c, d * u + e * v + f
    if style.fabric == "photo" and printed is not None and style.variant % 2:
        small = cv2.resize(printed, (TILE, TILE), interpolation=cv2.INTER_AREA)
        return sample_tile(wrap_padded(small), x, y).transpose(2, 0, 1).astype(np.float32)
    dyes = pattern_at(style.fabric, style.variant, x, y, per_pixel)
    return (colours.T.astype(np.float32) @ dyes.reshape(-1, 3).T).reshape(3, *u.shape)
