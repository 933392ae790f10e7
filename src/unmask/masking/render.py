"""Renders one mask on one face: a style, placed by a chart."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.masking.chart import Chart
from unmask.masking.cloth import SHADE, render_cloth
from unmask.masking.filters import half_axes, render_filter, visible_filters
from unmask.masking.finish import pixelated, recompressed
from unmask.masking.light import LUMA, PAPER, Light, grain
from unmask.masking.pose import Pose
from unmask.masking.shapes import SHAPES
from unmask.masking.straps import strap_alpha, strap_lines
from unmask.masking.style import Style

SHADOW = 0.10  # reach of the soft shadow around the mask, in inter-ocular distances
CAST = 0.45  # offset of the shadow of a mask that stands off the face, over its standoff
FARTHEST = 0.12  # maximum of that offset, in inter-ocular distances
FAINTEST = 0.02  # coverage below which a pixel is left unchanged


def shadow_reach(pose: Pose) -> int:
    """Distance from the mask, in pixels, within which its shadow can darken the face."""
    return 3 + round((2 * SHADOW + FARTHEST) * pose.size)


def outline_in_image(chart: Chart, style: Style) -> np.ndarray:
    """A style's outline (n, 2) in pixels of the image."""
    return chart.to_image(style.on_face(style.outline))


def _window(points: np.ndarray, margin: int, image: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of the image that contain points (n, 2) and a margin, in pixels."""
    low = np.maximum(np.floor(points.min(0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(points.max(0)).astype(int) + margin + 1, image.shape[1::-1])
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _filled(
    halves: list[np.ndarray], corner: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Coverage (h, w) float32, 0 to 1, of closed outlines in a window at `corner` (x, y)."""
    fine = np.zeros((shape[0] * 4, shape[1] * 4), np.uint8)
    for half in halves:
        points = np.round(((half - corner) * 4 + 1.5) * 16).astype(np.int32)
        cv2.fillPoly(fine, [points], 255, cv2.LINE_8, 4)
    small = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def _halves(outline: np.ndarray, uv: np.ndarray) -> list[np.ndarray]:
    """The right and the left half of an outline (n, 2), which share their closing line.

    On a turned head the halves can overlap; filled one by one they leave no gap there. `uv` are the
    same points in the mask's own coordinates.
    """
    from_middle, upper = np.abs(uv[:, 0]), uv[:, 1] < uv[:, 1].mean()
    top, bottom = (int(np.where(part, from_middle, np.inf).argmin()) for part in (upper, ~upper))
    first, last = sorted((top, bottom))
    return [outline[first : last + 1], np.vstack([outline[last:], outline[: first + 1]])]


def render_mask(
    image: np.ndarray,
    landmarks: np.ndarray,
    chart: Chart,
    style: Style,
    outline: np.ndarray,
    light: Light,
    valid: np.ndarray | None,
    printed: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Render a mask on a face, lit as the face is.

    Args:
        image: (h, w, 3) uint8 RGB; it is not changed.
        landmarks: (68, 2) in pixels.
        chart: of the face.
        style: of the mask.
        outline: (n, 2) in pixels, from `outline_in_image`.
        light: on the face.
        valid: (h, w) bool, false for padding, which is not blended on; None for no padding.
        printed: RGB uint8 picture for the fabric `photo`, or None for a synthetic one.
        rng: for the noise.

    Returns:
        The image with the mask, and the mask's opacity (h, w) float32, 0 to 1.
    """
    pose, finish = chart.pose, style.finish
    blur = light.blur * finish.blur
    lines = strap_lines(style.straps, _strap_roots(chart, style), landmarks, pose, style.slack)
    solid = np.vstack([outline, _filter_bounds(chart, style)])
    window = _window(np.vstack([solid, *lines]), shadow_reach(pose), image)
    inner = _window(solid, 1 + round(2.5 * blur), image)
    corner, shape = (window[1].start, window[0].start), image[window].shape[:2]
    part = tuple(
        slice(cut.start - whole.start, cut.stop - whole.start)
        for cut, whole in zip(inner, window, strict=True)
    )
    body: np.ndarray = np.zeros(shape, np.float32)
    body[part], cloth = _body(chart, style, light, outline, inner, printed)
    strap = strap_alpha(lines, style.strap_width * pose.size, corner, shape)
    if finish.hard:
        strap = (strap > 0.5).astype(np.float32)
    else:
        body, strap = _soft(body, blur), _soft(strap, blur)
    cloth = np.stack([_soft(plane, blur) for plane in cloth])
    shadow = _shadow(body, light, pose, SHAPES[style.mask_type].standoff) * finish.shadow
    alpha = body + strap * (1 - body)
    body_share = body / np.maximum(alpha, FAINTEST)

    colour = style.strap_dye.astype(np.float32)[:, None, None] * (0.8 + 0.2 * strap)
    colour[:, *part] += (cloth - colour[:, *part]) * body_share[part]
    colour = _lit(colour, style, light, window, image.shape)
    block = round(finish.block * pose.size)
    if block > 1:
        colour, alpha = pixelated(colour, block), pixelated(alpha[None], block)[0]
    colour += grain(shape, rng) * np.float32(light.grain * finish.grain)
    alpha[alpha < FAINTEST] = 0
    if valid is not None:
        alpha, shadow = alpha * valid[window], shadow * valid[window]

    photo = np.stack(cv2.split(image[window].astype(np.float32))) * (1 - np.minimum(shadow, 1))
    photo += (colour - photo) * alpha
    blended = cv2.merge([cv2.convertScaleAbs(np.maximum(plane, 0)) for plane in photo])
    if finish.quality:
        blended = np.where(alpha[:, :, None] > 0, recompressed(blended, finish.quality), blended)
    result, covered = image.copy(), np.zeros(image.shape[:2], np.float32)
    result[window], covered[window] = blended, alpha
    return result, covered


def _filter_bounds(chart: Chart, style: Style) -> np.ndarray:
    """Two opposite corners of each cartridge's bounding box (2 n, 2), in pixels of the image."""
    corners = [
        centre + sign * half_axes(item, chart.pose).max()
        for item, centre in visible_filters(style.filters, chart, style.affine)
        for sign in (-1, 1)
    ]
    return np.array(corners).reshape(-1, 2)


def _body(
    chart: Chart, style: Style, light: Light, outline: np.ndarray, window: tuple[slice, slice],
    printed: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Opacity (h, w) and colour (3, h, w) of cloth, pane and cartridges in a window."""
    rows, columns = window
    corner = (columns.start, rows.start)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    cover = _filled(_halves(outline, style.outline), corner, shape)
    if style.finish.hard:
        cover = (cover > 0.5).astype(np.float32)
    colour, opacity = render_cloth(chart, style, light, cover, corner, printed)
    if opacity is not None:
        cover = cover * opacity
    for item, centre in visible_filters(style.filters, chart, style.affine):
        shade = SHADE * style.finish.shade
        plate, coloured, dye = render_filter(item, centre - corner, chart.pose, light, shade, shape)
        cover = np.maximum(cover, plate > 0.5 if style.finish.hard else plate)
        colour = colour + (dye - colour) * coloured
    return cover, colour


def _strap_roots(chart: Chart, style: Style) -> np.ndarray:
    """Where the straps are sewn on (2, 2, 2): pixels at left and right, upper and lower."""
    shape = SHAPES[style.mask_type]
    roots = np.array([[s * u, v] for s in (-1, 1) for u, v in (shape.upper, shape.lower)])
    distances = np.hypot(*(roots[:, None] - style.outline[None]).transpose(2, 0, 1))
    nearest = style.outline[distances.argmin(1)]
    inside = nearest + (np.array([0, 0.6]) - nearest) * 0.03
    return chart.to_image(style.on_face(inside)).reshape(2, 2, 2)


def _lit(
    colour: np.ndarray, style: Style, light: Light, window: tuple[slice, slice],
    shape: tuple[int, ...],
) -> np.ndarray:  # fmt: skip
    """Colour (3, h, w) of a window under the face's light and the finish's gain.

    `shape` is the whole image's.
    """
    gain = (np.ones(3) * style.finish.gain).astype(np.float32)[:, None, None]
    if not style.finish.lit:
        return colour * gain
    brightness = cv2.resize(light.map, shape[1::-1], interpolation=cv2.INTER_LINEAR)[window]
    brightness = brightness * np.float32(light.white / PAPER * style.brightness)
    colour = colour * (light.cast.astype(np.float32)[:, None, None] * gain)
    if light.chroma < 1:
        luma = np.tensordot(LUMA, colour, 1)
        colour = luma + (colour - luma) * np.float32(light.chroma)
    return colour * brightness


def _soft(field: np.ndarray, blur: float) -> np.ndarray:
    """A field (h, w) blurred as the photo is; a blur within one pixel is left out."""
    if blur < 0.4:
        return field
    return cv2.GaussianBlur(field, (2 * round(2 * blur) + 1,) * 2, blur)


def _shadow(body: np.ndarray, light: Light, pose: Pose, standoff: float) -> np.ndarray:
    """Share of light (h, w) that a mask, of coverage `body` (h, w), takes from its surroundings."""
    reach = max(1, round(SHADOW * pose.size))
    shift = np.clip(np.rint(light.toward[:2] * reach * 0.6), -reach // 2, reach // 2).astype(int)
    anchor = (reach // 2 + int(shift[0]), reach // 2 + int(shift[1]))
    kernel = (2 * (reach // 2) + 1,) * 2
    far = np.clip(-light.toward[:2] * CAST * max(standoff - 0.25, 0), -FARTHEST, FARTHEST)
    if far.any():
        move = np.column_stack([np.eye(2), far * pose.size])
        body = cv2.warpAffine(body, move, body.shape[::-1])
    soft = cv2.blur(body, kernel, anchor=np.clip(anchor, 0, kernel[0] - 1).tolist())
    return np.float32(0.42) * cv2.blur(soft, kernel)
