"""Sharpens hair in textures whose hairline a linear model has blurred."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_DARKEST = 0.3  # share of the texels above the face that give the hair's colour
_LEAST_CONTRAST = 25.0  # grey levels between skin and hair, below which nothing is changed
_SHARPEST = (0.3, 0.75)  # positions from skin to hair between which the edge is steepened
_SKIN_LIKE = 15.0  # grey levels darker than skin, up to which a texel is no hair
_HAIRLINE = 0.015  # sigma of the smoothing of the hairline, in widths of the texture
_STRAND_DEPTH = 0.16  # relative brightness of strands


class HairSharpener:
    """Sharpens the hair of textures (s, s, 3) that are warped to one mean shape."""

    def __init__(self, weight: NDArray[np.float32]) -> None:
        """Find where hair can be: around the face, above the chin.

        Args:
            weight: (s, s) texel weights of the model, largest on the face.
        """
        around = (weight.max() - weight) / max(float(np.ptp(weight)), 1e-6)
        height = np.linspace(0, 1, len(weight), dtype=np.float32)[:, None]
        self._zone = around * np.clip((0.92 - height) / 0.2, 0, 1)
        self._skin = (around < 0.05) & (height > 0.5) & (height < 0.65)
        self._hair = (around > 0.5) & (height < 0.5)
        beside_neck = np.abs(np.linspace(-0.5, 0.5, len(weight))) > 0.18 + 0 * height
        self._beside = cv2.GaussianBlur(
            ((around > 0.8) & (height > 0.3) & beside_neck).astype(np.float32), (0, 0), 1.5
        )

    def trim_matte(
        self, texture: NDArray[np.float32], matte: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Clear in the matte (s, s), 0 to 255, what is beside the head and as light as skin."""
        if not self._skin.any():
            return matte
        green = cv2.GaussianBlur(texture[..., 1], (0, 0), 2.0)
        darker = texture[..., 1][self._skin].mean() - green
        hair = np.clip((darker - _SKIN_LIKE) / _SKIN_LIKE, 0, 1)
        return matte * (1 - self._beside * (1 - hair))

    def sharpen_hairline(
        self, texture: NDArray[np.float32], head: NDArray[np.bool_], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Steepen the transition from skin to darker hair, and add strands to the hair.

        Args:
            texture: (s, s, 3) RGB, 0 to 255.
            head: (s, s), the texels inside the matte.
            rng: for the strands.

        Returns:
            (s, s, 3) RGB; the texture itself where hair and skin differ too little.
        """
        around = texture[self._hair & head]
        if not self._skin.any() or len(around) < 20:
            return texture
        skin = texture[self._skin].mean(0)
        bright = around.mean(1)
        step = around[bright <= np.quantile(bright, _DARKEST)].mean(0) - skin
        length = float(-step.mean()) * 3**0.5
        if length < _LEAST_CONTRAST:
            return texture
        along = (texture - skin) @ (step / (step @ step))
        low, high = _SHARPEST
        smooth = cv2.GaussianBlur(along, (0, 0), _HAIRLINE * len(texture))
        part = np.clip((0.7 * smooth + 0.3 * along - low) / (high - low), 0, 1)
        part = part * part * (3 - 2 * part)
        trust = self._zone * min(length / _LEAST_CONTRAST - 1, 1)
        change = np.clip((part - np.clip(along, 0, 1)) * trust, -0.6, 0.6)
        sharpened = texture + change[..., None] * step
        shine = 1 + _STRAND_DEPTH * part * trust * _strands(len(texture), rng)
        return sharpened * shine[..., None]


def _strands(size: int, rng: np.random.Generator) -> np.ndarray:
    """Mostly vertical streaks (size, size) float32 of about unit deviation."""
    locks = rng.standard_normal((3, size // 5), np.float32)
    hairs = rng.standard_normal((size // 10, size), np.float32)
    field = 0.9 * cv2.resize(locks, (size, size), interpolation=cv2.INTER_CUBIC)
    field += 0.8 * cv2.resize(hairs, (size, size), interpolation=cv2.INTER_CUBIC)
    slant = np.float32(rng.normal(0, 0.25))
    bend = np.float32(rng.normal(0, 6) / size)
    x = np.arange(size, dtype=np.float32)
    y = x[:, None]
    lean = slant * (y - size / 2) + bend * (x - size / 2) * (y - size / 2) / 4
    return cv2.remap(field, x + lean, y + 0 * x, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
