"""Finds faces that wear glasses, by the edges of the frames across the nose and cheeks.

A linear model blurs glasses into faint traces, so the fit leaves such faces out, and sampled faces
get glasses drawn on instead.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.face_model.piecewise_affine import Points
from unmask.face_model.texture_space import TextureSpace
from unmask.geometry.landmarks import eye_centres

_LEFT_OUT = 0.18  # share of the faces of each brightness
_BRIGHTNESS_GROUPS = 10


def without_glasses(
    textures: NDArray[np.uint8], landmarks: Points, space: TextureSpace
) -> NDArray[np.bool_]:
    """Which faces to keep: the 18 % with the strongest edges are taken to wear glasses.

    Edges are compared among faces of similar brightness, so that no skin tone is left out more
    often than another.

    Args:
        textures: (n, length) vectors of `space`, warped to the mean shape.
        landmarks: (68, 2) of the mean shape, in texels.
        space: how the vectors are packed.

    Returns:
        (n,) bool.
    """
    left, right = eye_centres(landmarks)
    unit = float(right[0] - left[0])
    inner = landmarks[42, 0] - landmarks[39, 0]
    eye_line, below = landmarks[27, 1], landmarks[41, 1]
    bridge = _window(
        landmarks[39, 0] + 0.25 * inner,
        landmarks[42, 0] - 0.25 * inner,
        eye_line - 0.12 * unit,
        landmarks[28, 1] + 0.1 * unit,
    )
    rims = [
        _window(landmarks[a, 0], landmarks[b, 0], below + 0.06 * unit, below + 0.4 * unit)
        for a, b in ((36, 39), (42, 45))
    ]
    centre = _window(left[0], right[0], eye_line, landmarks[33, 1])
    edges = np.empty(len(textures))
    brightness = np.empty(len(textures))
    for row, vector in enumerate(textures):
        luma = vector[: space.luma].reshape(space.size, space.size)
        slope = cv2.Sobel(cv2.GaussianBlur(luma, (0, 0), 1.0), cv2.CV_32F, 0, 1, scale=1 / 8)
        swings = [np.ptp(slope[window].mean(1)) for window in (bridge, *rims)]
        edges[row] = swings[0] + 0.35 * (swings[1] + swings[2])
        brightness[row] = luma[centre].mean()
    keep = np.zeros(len(textures), np.bool_)
    for group in np.array_split(np.argsort(brightness), _BRIGHTNESS_GROUPS):
        if len(group):
            keep[group[edges[group] <= np.quantile(edges[group], 1 - _LEFT_OUT)]] = True
    return keep


def _window(left: float, right: float, top: float, bottom: float) -> tuple[slice, slice]:
    """Rows and columns between these coordinates."""
    return slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
