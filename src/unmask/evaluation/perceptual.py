"""The perceptual distance of faces, each warped into the canonical frame of 256 pixels first.

It therefore depends neither on a picture's resolution nor on the face's position in it.
"""

import numpy as np

from unmask.evaluation.feature_network import feature_levels
from unmask.geometry.frame import UNSHOWN, canonical_transform, warp
from unmask.metrics.perceptual import perceptual_distance

FRAME = 256  # pixels
_BATCH = 16


class PerceptualReference:
    """Features of the true faces, which those of restored faces are compared with over the holes.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        region: (N, H, W) bool, the holes.
        landmarks: (N, 68, 2) pixels, by which each face is warped into the frame.
    """

    def __init__(self, images: np.ndarray, region: np.ndarray, landmarks: np.ndarray) -> None:
        self._transforms = [canonical_transform(points, FRAME) for points in landmarks]
        self._region = region
        self._levels = [self._features(images, batch) for batch in self._batches()]

    def _batches(self) -> list[slice]:
        return [slice(i, i + _BATCH) for i in range(0, len(self._transforms), _BATCH)]

    def _framed(self, pictures: np.ndarray, batch: slice, beyond: float = UNSHOWN) -> np.ndarray:
        """The frames of a batch's pictures; `beyond` is the value outside a picture."""
        pairs = zip(pictures, self._transforms[batch], strict=True)
        return np.stack([warp(picture, t, (FRAME, FRAME), beyond) for picture, t in pairs])

    def _features(self, pictures: np.ndarray, batch: slice) -> list[np.ndarray]:
        return feature_levels(self._framed(pictures[batch], batch))

    def _weight(self, batch: slice) -> np.ndarray:
        return self._framed(self._region[batch].astype(np.float32), batch, beyond=0)

    def distances(self, restored: np.ndarray) -> np.ndarray:
        """Perceptual distances (N,), 0..4, of restored faces from the true ones.

        Args:
            restored: (N, H, W, 3) uint8 RGB, equal to the true pictures outside the holes.
        """
        return np.concatenate(
            [
                perceptual_distance(self._features(restored, batch), true, self._weight(batch))
                for batch, true in zip(self._batches(), self._levels, strict=True)
            ]
        )
