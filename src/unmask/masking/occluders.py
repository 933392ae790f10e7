"""What is held or hangs before a mask: a hand, hair, a microphone, a cup, a scarf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from unmask.geometry.landmarks import MOUTH
from unmask.masking.light import LUMA, PAPER, Light, grain, shaded
from unmask.masking.palettes import CLOTHS, SKINS
from unmask.masking.pose import Pose

SHADE = 0.55  # how strongly roundness shows
HAIRS = ((28, 22, 20), (52, 36, 28), (84, 58, 40), (124, 92, 60), (176, 142, 92), (120, 58, 34),
         (140, 136, 134))  # fmt: skip
FINE = 4  # drawn pixels to one of the picture


@dataclass(frozen=True)
class Scene:
    """The picture that an occluder comes into."""

    image: np.ndarray
    landmarks: np.ndarray
    pose: Pose
    light: Light

    def at(self, x: float, y: float) -> np.ndarray:
        """The pixel (2,) x sizes right and y sizes below the middle of the mouth."""
        place = x * self.pose.right + y * self.pose.down
        return self.landmarks[MOUTH].mean(0) + self.pose.size * place

    def colour_near(self, points: np.ndarray) -> np.ndarray:
        """The median colour (3,) of the picture about points (n, 2); skin if they lie outside."""
        height, width = self.image.shape[:2]
        x, y = np.round(points).astype(int).T
        x, y = ((c[:, None] + np.arange(-2, 3)).ravel() for c in (x, y))
        within = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        if not within.any():
            return np.array(SKINS[1], np.float64)
        return np.median(self.image[y[within], x[within]], axis=0)


class Layer:
    """Coverage (h, w) 0..1 and colour (h, w, 3) 0..255 of what has been drawn so far."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.alpha = np.zeros(scene.image.shape[:2], np.float32)
        self.colour = np.zeros(scene.image.shape, np.float32)

    def put(self, cover: np.ndarray, colour: np.ndarray) -> None:
        """Lay colour (h, w, 3) over what there is, where `cover` (h, w) says."""
        beneath = self.alpha * (1 - cover)
        self.alpha = beneath + cover
        share = cover / np.maximum(self.alpha, 1e-3)
        self.colour += (colour - self.colour) * share[:, :, None]

    def _cover(self, draw: Callable[[np.ndarray], None]) -> np.ndarray:
        height, width = self.alpha.shape
        canvas = np.zeros((height * FINE, width * FINE), np.uint8)
        draw(canvas)
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        cover = small.astype(np.float32) / 255
        blur = self.scene.light.blur
        return cover if blur < 0.4 else cv2.GaussianBlur(cover, (0, 0), blur)

    def solid(self, draw: Callable[[np.ndarray], None], dye: np.ndarray, roundness: float) -> None:
        """Draw a body whose edges turn away over `roundness` pixels, shaded by the light."""
        cover = self._cover(draw)
        depth = cv2.distanceTransform((cover > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
        way = 1 - np.minimum(depth / np.float32(roundness), 1)
        height = np.float32(roundness) * np.sqrt(np.maximum(1 - way**2, 0))
        tone = shaded(cv2.GaussianBlur(height, (0, 0), 1), self.scene.light.toward, SHADE)
        self.put(cover, np.asarray(dye, np.float32) * tone[:, :, None])

    def lines(self, lines: list[np.ndarray], width: float, dye: np.ndarray) -> None:
        """Draw thin lines (n, 2), `width` pixels wide."""
        points = [_fine(line) for line in lines]
        wide = max(1, round(width * FINE))
        cover = self._cover(lambda canvas: cv2.polylines(canvas, points, False, 255, wide, 8, 4))
        self.put(cover, np.asarray(dye, np.float32))


def _fine(points: np.ndarray) -> np.ndarray:
    return np.round((np.asarray(points) * FINE + (FINE - 1) / 2) * 16).astype(np.int32)


def _polygon(points: np.ndarray) -> Callable[[np.ndarray], None]:
    return lambda canvas: cv2.fillPoly(canvas, [_fine(points)], 255, cv2.LINE_8, 4)


def _tube(line: np.ndarray, width: float) -> Callable[[np.ndarray], None]:
    """A line (n, 2) `width` pixels wide with round ends."""
    wide = max(1, round(width * FINE))
    return lambda canvas: cv2.polylines(canvas, [_fine(line)], False, 255, wide, 8, 4)


def _curve(points: list[np.ndarray]) -> np.ndarray:
    """The quadratic curve (12, 2) of three points."""
    t = np.linspace(0, 1, 12)[:, None]
    start, middle, end = points
    return start * (1 - t) ** 2 + middle * 2 * t * (1 - t) + end * t**2


def _hand(scene: Scene, rng: np.random.Generator) -> Layer:
    """Two to four fingers, side by side, with the hand that they come from."""
    layer, size = Layer(scene), scene.pose.size
    skin = scene.colour_near(scene.landmarks[[21, 22, 27, 28, 29]]) * rng.uniform(0.85, 1.1)
    side, wide = rng.choice([-1, 1]), rng.uniform(0.17, 0.25)
    tip = np.array([side * rng.uniform(-0.1, 0.6), rng.uniform(-0.3, 0.35)])
    angle = rng.uniform(0.15, 1.45)  # of the way from the tips to the hand, from level down
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
            tip_of = np.array([line[0], line[0] + (line[1] - line[0]) * 0.4])
            layer.lines([tip_of], wide * size * 0.5, nail)
    return layer


def _hair(scene: Scene, rng: np.random.Generator) -> Layer:
    """A lock that hangs from above the picture beside an eye and over one side of the mask."""
    layer, size = Layer(scene), scene.pose.size
    dye = np.array(HAIRS[rng.integers(len(HAIRS))], np.float64) * rng.uniform(0.7, 1.2)
    side, root, spread = rng.choice([-1, 1]), rng.uniform(0.85, 1.2), rng.uniform(0.06, 0.16)
    reach, sweep = rng.uniform(0.1, 1.6), rng.normal(-0.25, 0.3)
    for width, most in ((0.035, 8), (0.02, 16), (0.012, 24)):
        for _ in range(3):
            lines = []
            for _ in range(int(rng.integers(1, most // 2))):
                x, end, foot = rng.normal(0, spread, 3)
                lines.append(_curve([
                    scene.at(side * (0.7 * root + x), -3.5),
                    scene.at(side * (root + 0.5 * (x + end)), rng.uniform(-0.9, -0.2)),
                    scene.at(side * (root + sweep + end), reach + 2 * foot),
                ]))  # fmt: skip
            layer.lines(lines, max(width * size, 0.5), dye * rng.uniform(0.6, 1.4))
    return layer


def _microphone(scene: Scene, rng: np.random.Generator) -> Layer:
    layer, size = Layer(scene), scene.pose.size
    head = np.array([rng.normal(0, 0.25), rng.uniform(0.1, 0.6)])
    radius, lean = rng.uniform(0.2, 0.36), rng.normal(0, 0.5)
    way = np.array([np.sin(lean), np.cos(lean)])
    dye = rng.uniform(15, 70) + rng.normal(0, 4, 3)
    handle = np.array([scene.at(*head), scene.at(*(head + 3 * way))])
    layer.solid(_tube(handle, radius * size * 1.1), dye * 0.8, radius * size * 0.6)
    ball = np.array([scene.at(*(head - 0.05 * way)), scene.at(*(head + 0.1 * way))])
    if rng.random() < 0.4:
        dye = rng.uniform(20, 230, 3)
    layer.solid(_tube(ball, 2 * radius * size), dye, radius * size)
    return layer


def _cup(scene: Scene, rng: np.random.Generator) -> Layer:
    """A cup or mug before the mouth."""
    layer, size = Layer(scene), scene.pose.size
    x, top = rng.normal(0, 0.25), rng.uniform(-0.1, 0.4)
    wide, high = rng.uniform(0.38, 0.62), rng.uniform(0.8, 1.4)
    foot = wide * rng.uniform(0.7, 1.0)
    corners = [(x - wide, top), (x + wide, top), (x + foot, top + high), (x - foot, top + high)]
    dye = np.array(CLOTHS[rng.integers(len(CLOTHS))][0]) * rng.uniform(0.8, 1.1)
    layer.solid(_polygon([scene.at(*c) for c in corners]), dye, wide * size * 0.8)
    turns = np.linspace(0, 2 * np.pi, 24)
    rim = [scene.at(x + wide * np.cos(t), top + 0.12 * wide * np.sin(t)) for t in turns]
    layer.solid(_polygon(rim), dye * 0.6 + 60, size)
    return layer


def _scarf(scene: Scene, rng: np.random.Generator) -> Layer:
    """The upper edge of a scarf or a collar that is pulled up over the mask's foot."""
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
OWN_COLOURS = ("hand",)  # taken from the photo, so already under its light


def before(
    scene: Scene, chances: Mapping[str, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """Coverage (h, w) 0..1 and colour (h, w, 3) of what comes before the mask; None if nothing.

    chances: kind -> chance of each.
    """
    layers: list[Layer] = []
    for kind in OCCLUDERS:
        if rng.random() < chances.get(kind, 0.0):
            layer = KINDS[kind](scene, rng)
            if kind not in OWN_COLOURS:
                light = scene.light
                layer.colour *= light.cast.astype(np.float32) * np.float32(light.white / PAPER)
                luma = (layer.colour @ LUMA)[:, :, None]
                layer.colour = luma + (layer.colour - luma) * np.float32(light.chroma)
            layers.append(layer)
    if not layers:
        return None
    whole = layers[0]
    for layer in layers[1:]:
        whole.put(layer.alpha, layer.colour)
    noise = grain(whole.alpha.shape, rng) * np.float32(scene.light.grain)
    return whole.alpha, whole.colour + noise[:, :, None]
