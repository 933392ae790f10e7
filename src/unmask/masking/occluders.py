"""Objects in front of a mask: a hand, hair, a microphone, a cup, a scarf."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from unmask.geometry.landmarks import MOUTH
from unmask.masking.light import LUMA, PAPER, Light, grain, shading
from unmask.masking.palettes import CLOTHS, SKINS
from unmask.masking.pose import Pose

SHADE = 0.55  # contrast of the shading by roundness
HAIRS = ((28, 22, 20), (52, 36, 28), (84, 58, 40), (124, 92, 60), (176, 142, 92), (120, 58, 34),
         (140, 136, 134))  # fmt: skip
SUBSAMPLES = 4  # subsamples per pixel, along a side

#: Draws white (255) on a uint8 canvas with SUBSAMPLES subsamples per pixel.
Drawing = Callable[[np.ndarray], object]


@dataclass(frozen=True)
class Scene:
    """The picture that an occluder is drawn on.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        landmarks: (68, 2) in pixels.
        pose: of the face.
        light: on the face.
    """

    image: np.ndarray
    landmarks: np.ndarray
    pose: Pose
    light: Light

    def at(self, x: float, y: float) -> np.ndarray:
        """Pixel (2,) that lies x right of and y below the mouth, in inter-ocular distances."""
        offset = x * self.pose.right + y * self.pose.down
        return self.landmarks[MOUTH].mean(0) + self.pose.size * offset

    def colour_near(self, points: np.ndarray) -> np.ndarray:
        """Median colour (3,) around pixels (n, 2); a skin colour if all are outside the picture."""
        height, width = self.image.shape[:2]
        x, y = np.round(points).astype(int).T
        x, y = ((c[:, None] + np.arange(-2, 3)).ravel() for c in (x, y))
        within = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        if not within.any():
            return np.array(SKINS[1], np.float64)
        return np.median(self.image[y[within], x[within]], axis=0)


class Layer:
    """What has been drawn so far.

    Attributes:
        scene: the picture.
        alpha: (h, w) float32 coverage, 0 to 1.
        colour: (h, w, 3) float32 RGB, 0 to 255.
    """

    def __init__(self, scene: Scene) -> None:
        """Start with nothing drawn."""
        self.scene = scene
        self.alpha: np.ndarray = np.zeros(scene.image.shape[:2], np.float32)
        self.colour: np.ndarray = np.zeros(scene.image.shape, np.float32)

    def put(self, cover: np.ndarray, colour: np.ndarray) -> None:
        """Composite colour (h, w, 3) of coverage `cover` (h, w) over the layer."""
        beneath = self.alpha * (1 - cover)
        self.alpha = beneath + cover
        share = cover / np.maximum(self.alpha, 1e-3)
        self.colour += (colour - self.colour) * share[:, :, None]

    def _cover(self, draw: Drawing) -> np.ndarray:
        """Coverage (h, w), 0 to 1, as soft as the photo."""
        height, width = self.alpha.shape
        canvas = np.zeros((height * SUBSAMPLES, width * SUBSAMPLES), np.uint8)
        draw(canvas)
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        cover = small.astype(np.float32) / 255
        blur = self.scene.light.blur
        return cover if blur < 0.4 else cv2.GaussianBlur(cover, (0, 0), blur)

    def solid(self, draw: Drawing, dye: np.ndarray, roundness: float) -> None:
        """Draw a rounded body, shaded by the light.

        Args:
            draw: draws its silhouette.
            dye: (3,) RGB, 0 to 255.
            roundness: distance in pixels from the edge within which its surface curves away.
        """
        cover = self._cover(draw)
        depth = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        toward_edge = 1 - np.minimum(depth / np.float32(roundness), 1)
        height = np.float32(roundness) * np.sqrt(np.maximum(1 - toward_edge**2, 0))
        tone = shading(cv2.GaussianBlur(height, (0, 0), 1), self.scene.light.toward, SHADE)
        self.put(cover, np.asarray(dye, np.float32) * tone[:, :, None])

    def lines(self, lines: list[np.ndarray], width: float, dye: np.ndarray) -> None:
        """Draw thin lines without shading.

        Args:
            lines: curves (n, 2) in pixels.
            width: in pixels.
            dye: (3,) RGB, 0 to 255.
        """
        points = [_fine(line) for line in lines]
        thickness = max(1, round(width * SUBSAMPLES))
        cover = self._cover(
            lambda canvas: cv2.polylines(canvas, points, False, 255, thickness, 8, 4)
        )
        self.put(cover, np.asarray(dye, np.float32))


def _fine(points: ArrayLike) -> np.ndarray:
    """Points (n, 2) in pixels as fixed-point coordinates of the fine canvas."""
    return np.round((np.asarray(points) * SUBSAMPLES + (SUBSAMPLES - 1) / 2) * 16).astype(np.int32)


def _polygon(points: ArrayLike) -> Drawing:
    """A filled polygon (n, 2) in pixels."""
    return lambda canvas: cv2.fillPoly(canvas, [_fine(points)], 255, cv2.LINE_8, 4)


def _tube(line: np.ndarray, width: float) -> Drawing:
    """A line (n, 2), `width` pixels wide, with round ends."""
    thickness = max(1, round(width * SUBSAMPLES))
    return lambda canvas: cv2.polylines(canvas, [_fine(line)], False, 255, thickness, 8, 4)


def _curve(points: Sequence[np.ndarray]) -> np.ndarray:
    """The quadratic Bézier curve (12, 2) of three control points (2,)."""
    t = np.linspace(0, 1, 12)[:, None]
    start, middle, end = points
    return start * (1 - t) ** 2 + middle * 2 * t * (1 - t) + end * t**2


def _hand(scene: Scene, rng: np.random.Generator) -> Layer:
    """Two to four fingers, side by side, and part of the hand."""
    layer, size = Layer(scene), scene.pose.size
    skin = scene.colour_near(scene.landmarks[[21, 22, 27, 28, 29]]) * rng.uniform(0.85, 1.1)
    side, wide = rng.choice([-1, 1]), rng.uniform(0.17, 0.25)
    tip = np.array([side * rng.uniform(-0.1, 0.6), rng.uniform(-0.3, 0.35)])
    angle = rng.uniform(0.15, 1.45)  # radians below horizontal, from fingertips to hand
    back = np.array([side * np.cos(angle), np.sin(angle)])
    across = np.array([-back[1], back[0]])
    nails, nail = rng.random() < 0.5, skin * [1.08, 1.0, 1.0] + 10
    if rng.random() < 0.2:
        nail = rng.uniform(20, 230, 3)
    length, count = rng.uniform(0.8, 1.2), int(rng.integers(2, 5))
    palm = tip + back * (length + 0.35) + across * (count - 1) * wide / 2
    layer.solid(_tube(np.array([scene.at(*palm), scene.at(*(palm + back * 1.5))]),
                      (count + 0.6) * wide * size), skin, wide * size)  # fmt: skip
    for k in range(count):
        end = tip + across * wide * k + back * rng.uniform(-0.1, 0.15)
        bend = end + back * length * 0.5 + across * rng.normal(0, 0.10)
        root = tip + across * wide * k * 0.95 + back * (length + 0.3)
        line = _curve([scene.at(*end), scene.at(*bend), scene.at(*root)])
        layer.lines([line], (wide + 0.02) * size, skin * 0.7)
        layer.solid(_tube(line, wide * size * rng.uniform(0.85, 1)), skin, wide * size / 2)
        if nails:
            nail_line = np.array([line[0], line[0] + (line[1] - line[0]) * 0.4])
            layer.lines([nail_line], wide * size * 0.5, nail)
    return layer


def _hair(scene: Scene, rng: np.random.Generator) -> Layer:
    """A strand of hair from above the picture, past an eye, and over one side of the mask."""
    layer, size = Layer(scene), scene.pose.size
    dye = np.array(HAIRS[rng.integers(len(HAIRS))], np.float64) * rng.uniform(0.7, 1.2)
    side, root, spread = rng.choice([-1, 1]), rng.uniform(0.85, 1.2), rng.uniform(0.06, 0.16)
    reach, sweep = rng.uniform(0.1, 1.6), rng.normal(-0.25, 0.3)
    for width, most in ((0.035, 8), (0.02, 16), (0.012, 24)):
        for _ in range(3):
            lines = []
            for _ in range(int(rng.integers(1, most // 2))):
                x, end, drop = rng.normal(0, spread, 3)
                lines.append(_curve([
                    scene.at(side * (0.7 * root + x), -3.5),
                    scene.at(side * (root + 0.5 * (x + end)), rng.uniform(-0.9, -0.2)),
                    scene.at(side * (root + sweep + end), reach + 2 * drop),
                ]))  # fmt: skip
            layer.lines(lines, max(width * size, 0.5), dye * rng.uniform(0.6, 1.4))
    return layer


def _microphone(scene: Scene, rng: np.random.Generator) -> Layer:
    """A microphone in front of the mouth, held from below."""
    layer, size = Layer(scene), scene.pose.size
    head = np.array([rng.normal(0, 0.25), rng.uniform(0.1, 0.6)])
    radius, lean = rng.uniform(0.2, 0.36), rng.normal(0, 0.5)
    axis = np.array([np.sin(lean), np.cos(lean)])
    dye = rng.uniform(15, 70) + rng.normal(0, 4, 3)
    handle = np.array([scene.at(*head), scene.at(*(head + 3 * axis))])
    layer.solid(_tube(handle, radius * size * 1.1), dye * 0.8, radius * size * 0.6)
    ball = np.array([scene.at(*(head - 0.05 * axis)), scene.at(*(head + 0.1 * axis))])
    if rng.random() < 0.4:
        dye = rng.uniform(20, 230, 3)
    layer.solid(_tube(ball, 2 * radius * size), dye, radius * size)
    return layer


def _cup(scene: Scene, rng: np.random.Generator) -> Layer:
    """A cup or mug in front of the mouth."""
    layer, size = Layer(scene), scene.pose.size
    x, top = rng.normal(0, 0.25), rng.uniform(-0.1, 0.4)
    wide, high = rng.uniform(0.38, 0.62), rng.uniform(0.8, 1.4)
    base = wide * rng.uniform(0.7, 1.0)
    corners = [(x - wide, top), (x + wide, top), (x + base, top + high), (x - base, top + high)]
    dye = np.array(CLOTHS[rng.integers(len(CLOTHS))][0]) * rng.uniform(0.8, 1.1)
    layer.solid(_polygon([scene.at(*c) for c in corners]), dye, wide * size * 0.8)
    turns = np.linspace(0, 2 * np.pi, 24)
    rim = [scene.at(x + wide * np.cos(t), top + 0.12 * wide * np.sin(t)) for t in turns]
    layer.solid(_polygon(rim), dye * 0.6 + 60, size)
    return layer


def _scarf(scene: Scene, rng: np.random.Generator) -> Layer:
    """The upper edge of a scarf or collar that is pulled up over the lower part of the mask."""
    layer, size = Layer(scene), scene.pose.size
    xs = np.linspace(-2.2, 2.2, 40)
    top = rng.uniform(0.3, 0.75) - rng.uniform(-0.1, 0.25) * xs**2
    top = top + rng.normal(0, 0.15) * xs + 0.05 * np.sin(xs * rng.uniform(2, 9) + rng.uniform(0, 6))
    dye = np.array(CLOTHS[rng.integers(len(CLOTHS))][0]) * rng.uniform(0.8, 1.1)
    for fold in range(rng.integers(1, 4)):
        heights = top + fold * (0.3 + 0.08 * xs)
        edge = [scene.at(*point) for point in zip(xs, heights, strict=True)]
        corners = [scene.at(2.2, 5), scene.at(-2.2, 5)]
        layer.solid(_polygon(edge + corners), dye, size * rng.uniform(0.15, 0.3))
    return layer


KINDS: dict[str, Callable[[Scene, np.random.Generator], Layer]] = {
    "hand": _hand, "hair": _hair, "microphone": _microphone, "cup": _cup, "scarf": _scarf,
}  # fmt: skip
OCCLUDERS = tuple(KINDS)
COLOURS_FROM_PHOTO = ("hand",)  # which are already under its light


def render_occluders(
    scene: Scene, chances: Mapping[str, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Sample and render what is in front of the mask.

    Args:
        scene: the picture.
        chances: names of `OCCLUDERS` to probabilities.
        rng: for the sample.

    Returns:
        Coverage (h, w), 0 to 1, and colour (h, w, 3), 0 to 255; None if there is nothing.
    """
    layers: list[Layer] = []
    for kind in OCCLUDERS:
        if rng.random() < chances.get(kind, 0.0):
            layer = KINDS[kind](scene, rng)
            if kind not in COLOURS_FROM_PHOTO:
                light = scene.light
                layer.colour *= light.cast.astype(np.float32) * np.float32(light.white / PAPER)
                luma = (layer.colour @ LUMA)[:, :, None]
                layer.colour = luma + (layer.colour - luma) * np.float32(light.chroma)
            layers.append(layer)
    if not layers:
        return None
    combined = layers[0]
    for layer in layers[1:]:
        combined.put(layer.alpha, layer.colour)
    noise = grain(combined.alpha.shape, rng) * np.float32(scene.light.grain)
    return combined.alpha, combined.colour + noise[:, :, None]
