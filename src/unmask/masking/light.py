"""Estimates the light on a face from its pixels, and shades a relief by it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from unmask.masking.pose import Pose
from unmask.masking.tiles import SEED

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SKIN_CAST = np.array([1.24, 0.95, 0.82])  # RGB of skin under white light, over its luma
PAPER = 228  # grey level, under white light, of a cloth that appears as bright as `Light.white`
COARSE = 4  # pixels of the photo per pixel of the illumination map
FACE_RING = np.r_[0:17, 26:16:-1]  # landmarks around the face


@dataclass(frozen=True)
class Light:
    """The light on a face, and the noise and blur of its photo.

    Attributes:
        white: brightness that a white cloth would have, 0 to 255.
        cast: (3,) RGB gain, about 1.
        chroma: 0 for a black-and-white photo to 1.
        skin: (3,) mean RGB of the lit part of the face.
        map: (h / 4, w / 4) relative brightness, about 1.
        toward: (3,) unit vector to the light source: x to the right, y down, z to the camera.
        grain: noise in grey levels.
        blur: sigma, in pixels, of the Gaussian that the photo is as soft as.
    """

    white: float
    cast: np.ndarray
    chroma: float
    skin: np.ndarray
    map: np.ndarray
    toward: np.ndarray
    grain: float
    blur: float


def estimate_light(
    image: np.ndarray, landmarks: np.ndarray, pose: Pose, valid: np.ndarray | None
) -> Light:
    """Estimate the light on a face.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (68, 2) in pixels.
        pose: of the face.
        valid: (h, w) bool, the pixels to use; None for all.
    """
    height, width = image.shape[:2]
    coarse = (max(width // COARSE, 4), max(height // COARSE, 4))
    small = cv2.resize(image, coarse, interpolation=cv2.INTER_AREA).astype(np.float32)
    scale = np.array([coarse[0] / width, coarse[1] / height])
    face = np.zeros(coarse[::-1], np.uint8)
    ring = np.round(landmarks[FACE_RING] * scale * 16).astype(np.int32)
    cv2.fillPoly(face, [ring], 1, shift=4)
    if valid is not None:
        face &= cv2.resize(valid.astype(np.uint8), coarse, interpolation=cv2.INTER_NEAREST)
    if not face.any():
        face[:] = 1
    luma = cv2.transform(small, LUMA[None])
    skin = face > 0
    bright = np.sort(luma[skin])
    high, whole_image = bright[int(0.9 * (len(bright) - 1))], np.sort(luma, axis=None)
    white = 0.6 * min(1.28 * high + 14, 250) + 0.4 * whole_image[int(0.96 * (luma.size - 1))]
    lit = (skin & (luma > 0.45 * high)).view(np.uint8)
    weight, mean = lit.astype(np.float32), np.array(cv2.mean(small, lit)[:3])
    level = float(LUMA @ mean)
    tint = mean / max(level, 1)
    chroma = float(np.clip((tint.max() - tint.min()) / 0.22, 0, 1))
    cast = np.clip(tint / SKIN_CAST, 0.7, 1.4) ** 0.45
    sigma = 0.30 * pose.size / COARSE
    spread = cv2.GaussianBlur(weight, (0, 0), sigma) + 0.05
    smooth = (cv2.GaussianBlur(luma * weight, (0, 0), sigma) + 0.05 * level) / spread
    relative = np.clip(smooth / max(level, 1), 0.45, 1.45) ** 0.65
    return Light(
        float(np.clip(white, 60, 250)), cast / (cast @ LUMA), chroma, mean,
        relative.astype(np.float32), _toward(relative, weight), *_texture(image, landmarks),
    )  # fmt: skip


def _toward(relative: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Direction (3,) of the light, by how brightness varies over the cells, weighted (h, w)."""
    total = max(float(weight.sum()), 1.0)
    slope = []
    for axis in (1, 0):
        position = np.arange(weight.shape[axis])
        shares, light = weight.sum(1 - axis) / total, (relative * weight).sum(1 - axis) / total
        position = position - position @ shares
        spread = float(position**2 @ shares) + 1e-3
        slope.append(float(position @ light) / spread * 3.5 * spread**0.5)
    toward = np.array([np.clip(1.2 * slope[0], -0.9, 0.9), -0.45 + np.clip(slope[1], -0.3, 0.3),
                       1.0])  # fmt: skip
    return toward / np.linalg.norm(toward)


def _texture(image: np.ndarray, landmarks: np.ndarray) -> tuple[float, float]:
    """Noise in grey levels and blur as a sigma in pixels, from the second derivatives of a face."""
    low = np.maximum(landmarks[17:].min(0).astype(int), 0)
    high = landmarks[17:].max(0).astype(int) + 1
    face = cv2.cvtColor(image[low[1] : high[1], low[0] : high[0]], cv2.COLOR_RGB2GRAY)
    if min(face.shape) < 8:
        return 1.0, 0.5
    detail = cv2.Laplacian(face, cv2.CV_32F, ksize=1)
    steep = cv2.Sobel(face, cv2.CV_32F, 1, 0, ksize=3, scale=0.25)
    grain = float(np.median(np.abs(detail))) * 0.33
    ratio = float(np.abs(detail).mean()) / (float(np.abs(steep).mean()) + 0.5)
    return min(grain, 8.0), min(0.32 / max(ratio, 0.3) ** 2, 2.0)


def shading(height: np.ndarray, toward: np.ndarray, strength: float) -> np.ndarray:
    """Brightness of a relief over that of a flat surface.

    Args:
        height: (h, w) in pixels.
        toward: (3,) direction of the light source, with z to the camera.
        strength: contrast, 1 for Lambertian shading.

    Returns:
        (h, w), at least 0.25.
    """
    dx = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    dy = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    x, y, z = (np.float32(c) for c in toward / toward[2])
    facing = (z - x * dx - y * dy) / cv2.sqrt(1 + dx * dx + dy * dy)
    return np.maximum(1 + np.float32(strength) * (facing - 1), 0.25)


@cache
def _grain() -> np.ndarray:
    """A field (256, 256) of noise, which repeats."""
    field = np.random.default_rng(SEED).standard_normal((256, 256)).astype(np.float32)
    soft = cv2.GaussianBlur(field, (3, 3), 0.6)
    return soft / soft.std()


def grain(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise (h, w) of unit deviation, with a grain a little wider than a pixel."""
    y, x = rng.integers(0, 256, 2)
    rows = np.take(_grain(), np.arange(y, y + shape[0]), axis=0, mode="wrap")
    return np.take(rows, np.arange(x, x + shape[1]), axis=1, mode="wrap")
