"""What a photo adds to a face of a linear model: background, light, fine texture, camera.

All are sampled with the generator passed. Images are RGB float32, nominally 0 to 255.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def jitter_roll(vertices: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Rotate vertices (P, 2) in units of the frame, about the point between the eyes.

    The angle has a standard deviation of 2 degrees, as errors of framing have.
    """
    angle = np.deg2rad(2.0) * rng.standard_normal()
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = np.array([0.5, 0.4])
    return ((vertices - centre) @ turn + centre).astype(np.float32)


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """An out-of-focus background (size, size, 3): a gradient, blobs or bars of muted colour."""
    kind = rng.choice(["gradient", "blobs", "bars"], p=[0.35, 0.4, 0.25])
    base = _muted_colour(rng, rng.uniform(15, 235))
    if kind == "gradient":
        cells = base + rng.normal(0, 14, (2, 2, 1)) + rng.normal(0, 4, (2, 2, 3))
        cells = np.clip(cells, 0, 255).astype(np.float32)
        return cv2.resize(cells, (size, size), interpolation=cv2.INTER_LINEAR)
    count = int(rng.integers(3, 8))
    if kind == "blobs":
        cells = base + rng.normal(0, 26, (count, count, 1)) + rng.normal(0, 7, (count, count, 3))
        field = cv2.resize(cells.astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        return np.clip(field, 0, 255)
    colours = [_muted_colour(rng, rng.uniform(15, 235)) for _ in range(count)]
    edges = np.sort(rng.uniform(0, size, count - 1))
    strip = np.stack(colours)[np.searchsorted(edges, np.arange(size))].astype(np.float32)
    field = np.repeat(strip[None], size, 0)
    angle, middle = float(rng.normal(0, 10)), ((size - 1) / 2,) * 2
    turn = cv2.getRotationMatrix2D(middle, angle, 1.2)
    field = cv2.warpAffine(field, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur(field, (0, 0), size * float(rng.uniform(0.008, 0.04)))


def fine_texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (size, size) float32 of about unit deviation, with a falling spectrum as of skin."""
    noise = np.zeros((size, size), np.float32)
    for divisor, amount in ((1, 0.6), (2, 0.7), (4, 0.4)):
        layer = rng.standard_normal((size // divisor, size // divisor), np.float32) * amount
        noise += cv2.resize(layer, (size, size), interpolation=cv2.INTER_CUBIC)
    return cv2.GaussianBlur(noise, (0, 0), 0.6)


def simulate_camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image (size, size, 3) as a photo, RGB uint8.

    It gets uneven light, a colour temperature, lens blur, sensor noise and JPEG artefacts.
    """
    size = image.shape[0]
    image = np.clip(image, 0, 255) * _light(size, rng)[..., None]
    image *= 1 + rng.normal(0, 0.03) * np.array([1, 0, -1], np.float32)
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    image = grey[..., None] + (image - grey[..., None]) * np.float32(rng.uniform(0.85, 1.15))
    gamma = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.08))
    scale = size / 128
    blur = rng.uniform(0, 0.5) * scale
    if blur > 0.15:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    grain = rng.standard_normal((size, size, 3), np.float32)
    grain += rng.standard_normal((size, size, 1), np.float32)
    image = image + grain * np.float32(rng.uniform(0.3, 2.0))
    photo: np.ndarray = cv2.LUT(
        cv2.convertScaleAbs(np.maximum(image, 0)), np.rint(gamma).astype(np.uint8)
    )
    if rng.random() < 0.5:
        photo = _jpeg_compressed(photo, int(rng.integers(70, 96)))
    return photo


def _jpeg_compressed(photo: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def _light(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Relative brightness (size, size): a random linear gradient about 1."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    across, down = rng.normal(0, 0.08, 2).astype(np.float32)
    return 1 + across * axis + down * axis[:, None] + np.float32(rng.normal(0, 0.04))


def _muted_colour(rng: np.random.Generator, brightness: float) -> NDArray[np.float64]:
    tint = rng.normal(0, 1, 3)
    return np.clip(brightness * (1 + 0.06 * (tint - tint.mean())), 0, 255)
