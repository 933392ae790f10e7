"""The picture of one mask on one face: paints a style where the chart puts it."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.masking.chart import Chart, unrolled
from unmask.masking.fabrics import laid
from unmask.masking.light import LUMA, Light, grain, shaded
from unmask.masking.pose import Pose
from unmask.masking.relief import dome, folded, pleated, sewn, valve
from unmask.masking.shapes import SHAPES
from unmask.masking.straps import strap_alpha, strap_lines
from unmask.masking.style import Style

SHADOW = 0.10  # reach of the soft shadow around the mask, in sizes
SHADE = 0.75  # how strongly relief shows
FAINTEST = 0.02  # coverage below which a pixel is left alone


def shadow_reach(pose: Pose) -> int:
    """How many pixels beyond the mask its shadow may darken."""
    return 2 + round(2 * SHADOW * pose.size)


def outline_on(chart: Chart, style: Style) -> np.ndarray:
    """The style's outline (n, 2) in image pixels."""
    return chart.to_image(_worn(style, style.outline))


def _worn(style: Style, uv: np.ndarray) -> np.ndarray:
    return uv @ style.affine[:, :2].T + style.affine[:, 2]


def _window(points: np.ndarray, margin: int, image: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of the image that hold the points and a margin around them."""
    low = np.maximum(np.floor(points.min(0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + margin + 1, image.shape[1::-1])
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _filled(outline: np.ndarray, corner: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Coverage 0..1 (h, w) float32 of a closed outline, from 16 samples a pixel."""
    fine = np.zeros((shape[0] * 4, shape[1] * 4), np.uint8)
    points = np.round(((outline - corner) * 4 + 1.5) * 16).astype(np.int32)
    cv2.fillPoly(fine, [points], 255, cv2.LINE_8, 4)
    small = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def painted(
    image: np.ndarray,
    landmarks: np.ndarray,
    chart: Chart,
    style: Style,
    outline: np.ndarray,
    light: Light,
    valid: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The image (h, w, 3) uint8 with the mask on it, and where the mask is, bool (h, w).

    outline: the style's, from `outline_on`. Other arguments as in `placement.put_on`.
    """
    pose = chart.pose
    lines = strap_lines(style.straps, _strap_roots(chart, style), landmarks, pose, style.slack)
    window = _window(np.vstack([outline, *lines]), shadow_reach(pose), image)
    inner = _window(outline, 1 + round(2.5 * light.blur), image)
    corner, here = (window[1].start, window[0].start), image[window].shape[:2]
    part = tuple(
        slice(cut.start - whole.start, cut.stop - whole.start)
        for cut, whole in zip(inner, window, strict=True)
    )
    body = np.zeros(here, np.float32)
    body[part] = _filled(outline, (inner[1].start, inner[0].start), body[part].shape)
    strap = strap_alpha(lines, style.strap_width * pose.size, corner, here)
    body, strap = _blurred(body, light), _blurred(strap, light)
    alpha, shadow = body + strap * (1 - body), _shadow(body, light, pose)
    body_share = body / np.maximum(alpha, FAINTEST)
    alpha[alpha < FAINTEST] = 0
    if valid is not None:
        alpha, shadow = alpha * valid[window], shadow * valid[window]

    thread = style.strap_dye.astype(np.float32)[:, None, None]
    colour = thread * (0.8 + 0.2 * strap)
    cloth = _cloth(chart, style, light, body[part], (inner[1].start, inner[0].start))
    colour[:, *part] += (cloth - colour[:, *part]) * body_share[part]
    lamp = cv2.resize(light.map, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)[window]
    lamp = lamp * np.float32(light.white / 228 * style.brightness)
    colour *= light.cast.astype(np.float32)[:, None, None]
    if light.chroma < 1:
        luma = np.tensordot(LUMA, colour, 1)
        colour = luma + (colour - luma) * np.float32(light.chroma)
    colour *= lamp
    colour += grain(here, rng) * np.float32(light.grain)

    photo = np.stack(cv2.split(image[window].astype(np.float32))) * (1 - shadow)
    photo += (colour - photo) * alpha
    result, mask = image.copy(), np.zeros(image.shape[:2], bool)
    result[window] = cv2.merge([cv2.convertScaleAbs(np.maximum(plane, 0)) for plane in photo])
    mask[window] = alpha > 0
    return result, mask


def _strap_roots(chart: Chart, style: Style) -> np.ndarray:
    shape = SHAPES[style.mask_type]
    roots = np.array([[s * u, v] for s in (-1, 1) for u, v in (shape.upper, shape.lower)])
    return chart.to_image(_worn(style, roots)).reshape(2, 2, 2)


def _cloth(
    chart: Chart, style: Style, light: Light, body: np.ndarray, corner: tuple[int, int]
) -> np.ndarray:
    """Colour (3, h, w) of the cloth over a window, 0..255, dyed and shaded by its relief."""
    size = np.float32(chart.pose.size)
    low, high = style.outline.min(0), style.outline.max(0)
    grid = np.meshgrid(np.linspace(low[0], high[0], 9), np.linspace(low[1], high[1], 9))
    uv = np.stack([axis.ravel() for axis in grid], axis=1)
    u, v = unrolled(uv, chart.to_image(_worn(style, uv)), corner, body.shape)

    inside = cv2.distanceTransform((body > 0.5).astype(np.uint8), cv2.DIST_L2, 3) / size
    strength, index, period, shift, turn = style.folds
    wrinkle = np.float32(strength) * folded(u, v, index, period, shift, turn)
    height = dome(u, v, style.dome) + np.float32(0.022) * wrinkle
    count, opening, depth = style.pleats
    if count:
        height += pleated(u, v + np.float32(0.015) * wrinkle, count, opening, depth)
    seams, dark = sewn(u, v, inside, style.creases)
    height += seams
    if style.valve:
        bump, cover = valve(u, v, style.valve[:2], style.valve[2])
        height += bump
    tone = shaded(height * size, light.toward, SHADE)
    tone *= (1 - dark) * (1 - 0.22 * np.maximum(1 - inside / np.float32(0.1), 0) ** 2)

    if style.fabric == "plain":
        colour = style.dyes[0].astype(np.float32)[:, None, None]
    else:
        (a, b, c), (d, e, f) = style.weave.astype(np.float32)
        step = 1 / (style.period * chart.pose.size)
        dyes = laid(style.fabric, style.variant, a * u + b * v + c, d * u + e * v + f, step)
        colour = (style.dyes.T.astype(np.float32) @ dyes.reshape(-1, 3).T).reshape(3, *u.shape)
    if style.valve:
        disc = np.float32(0.92) * colour.mean((1, 2), keepdims=True)
        colour = colour + (disc - colour) * (0.6 * cover)
    sheen = np.maximum(tone - 1, 0) * np.float32(255 * (0.12 + style.gloss))
    return np.stack([_blurred(plane, light) for plane in colour * tone + sheen])


def _blurred(field: np.ndarray, light: Light) -> np.ndarray:
    """A field (h, w) as soft as the photo; what a pixel's area averages out is soft enough."""
    if light.blur < 0.4:
        return field
    return cv2.GaussianBlur(field, (2 * round(2 * light.blur) + 1,) * 2, light.blur)


def _shadow(body: np.ndarray, light: Light, pose: Pose) -> np.ndarray:
    """How much the mask's body darkens what lies beside it, 0..1 (h, w)."""
    reach = max(1, round(SHADOW * pose.size))
    shift = np.clip(np.rint(light.toward[:2] * reach * 0.6), -reach // 2, reach // 2).astype(int)
    anchor = (reach // 2 + int(shift[0]), reach // 2 + int(shift[1]))
    kernel = (2 * (reach // 2) + 1,) * 2
    soft = cv2.blur(body, kernel, anchor=np.clip(anchor, 0, kernel[0] - 1).tolist())
    return np.float32(0.42) * cv2.blur(soft, kernel)
