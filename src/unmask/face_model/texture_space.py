"""The space of shape-free textures: luma at full and chroma at half resolution, as one vector.

The reference square is a little larger than the canonical frame, because the warp to the mean shape
of a face whose chin is higher than the mean's brings what lies below the frame into view.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.face_model.piecewise_affine import Points, border_points

#: The reference square, in units of the canonical frame.
REFERENCE_LEFT, REFERENCE_TOP, REFERENCE_SIDE = -0.04, 0.0, 1.08


def mesh(landmarks: Points) -> Points:
    """Vertices (84, 2): landmarks (68, 2) in units of the frame, then the fixed border points."""
    return np.concatenate([landmarks, border_points()]).astype(np.float32)


def frame_to_pixels(points: Points, size: int) -> Points:
    """Convert points (P, 2) in units of the frame to pixels of a frame `size` pixels wide."""
    return (points * size - 0.5).astype(np.float32)


def frame_to_texels(points: Points, size: int) -> Points:
    """Convert points (P, 2) in units of the frame to texels of the `size` x `size` reference."""
    corner = np.array([REFERENCE_LEFT, REFERENCE_TOP], np.float32)
    return ((points - corner) * (size / REFERENCE_SIDE) - 0.5).astype(np.float32)


@dataclass(frozen=True)
class TextureSpace:
    """Packs RGB textures and mattes into vectors and back.

    A vector is the luma plane, then red chroma, blue chroma and matte at half the resolution, all
    from 0 to 255.

    Attributes:
        size: side of textures and mattes in texels, a multiple of 8.
    """

    size: int = 128

    @property
    def half(self) -> int:
        """Side of the chroma and matte planes in texels."""
        return self.size // 2

    @property
    def luma(self) -> int:
        """Number of luma values."""
        return self.size**2

    @property
    def matte(self) -> int:
        """Index of the first matte value."""
        return self.luma + 2 * self.half**2

    @property
    def length(self) -> int:
        """Number of values in a vector."""
        return self.luma + 3 * self.half**2

    def planes(self) -> list[slice]:
        """Slices of a vector: luma, red chroma, blue chroma and matte."""
        bounds = [0, *(self.luma + self.half**2 * np.arange(4)).tolist()]
        return [slice(low, high) for low, high in pairwise(bounds)]

    def pack(self, texture: NDArray[np.uint8], matte: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert RGB (size, size, 3) and matte (size, size) to a vector (length,)."""
        luma, *chroma = cv2.split(cv2.cvtColor(texture, cv2.COLOR_RGB2YCrCb))
        planes = [self._halved(plane).ravel() for plane in (*chroma, matte)]
        return np.concatenate([luma.ravel(), *planes])

    def unpack(self, vector: NDArray[np.float32]) -> np.ndarray:
        """Convert a vector (length,) to RGB and matte (size, size, 4) float32.

        Values are nominally 0 to 255, but not clipped.
        """
        planes = vector[self.luma :].reshape(3, self.half, self.half)
        red, blue, matte = (
            cv2.resize(plane, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
            for plane in planes
        )
        red, blue, luma = red - 128, blue - 128, vector[: self.luma].reshape(self.size, self.size)
        return cv2.merge(
            [luma + 1.403 * red, luma - 0.714 * red - 0.344 * blue, luma + 1.773 * blue, matte]
        )

    def pack_visible(self, shown: NDArray[np.bool_], matte: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which values (length,) of a texture's vector are known.

        Colour is known where the photo shows the head, the matte wherever there is photo.

        Args:
            shown: (size, size), texels that lie in the photo.
            matte: (size, size), 0 behind the head to 255 on it.
        """
        head = shown & (matte > 127)
        half, half_head = (
            mask.reshape(self.half, 2, self.half, 2).all(axis=(1, 3)).ravel()
            for mask in (shown, head)
        )
        return np.concatenate([head.ravel(), half_head, half_head, half])

    def spread_weight(self, weight: NDArray[np.float32], matte: float) -> NDArray[np.float32]:
        """Weights (length,) of a vector's values.

        Colour has the weight (size, size) of its texel, each value of the matte the weight `matte`.
        """
        half = self._halved(weight).ravel()
        return np.concatenate([weight.ravel(), half, half, np.full(half.shape, matte, np.float32)])

    def coarse(self, vectors: NDArray, factor: int = 4) -> NDArray[np.float32]:
        """Block means (n, length / factor^2) of vectors (n, length), per plane."""
        count = len(vectors)
        planes = [
            (vectors[:, plane], side)
            for plane, side in zip(
                self.planes(), (self.size, self.half, self.half, self.half), strict=True
            )
        ]
        return np.concatenate(
            [
                plane.reshape(count, side // factor, factor, side // factor, factor)
                .mean(axis=(2, 4), dtype=np.float32)
                .reshape(count, -1)
                for plane, side in planes
            ],
            axis=1,
        )

    def _halved(self, plane: NDArray) -> NDArray:
        return cv2.resize(plane, (self.half, self.half), interpolation=cv2.INTER_AREA)
