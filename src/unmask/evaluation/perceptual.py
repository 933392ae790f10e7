"""The perceptual distance of faces, each brought to the canonical frame of 256 pixels first.

So it depends neither on a picture's resolution nor on where in it the face is.
"""

import numpy as np

from unmask.evaluation.feature_network import feature_levels
from unmask.geometry.frame import UNSHOWN, canonical_transform, warp
from unmask.metrics.perceptual import perceptual_distance

FRAME = 256  # pixels
_BATCH = 16


class PerceptualReference:
    """The true faces that restored ones are compared with, over their holes.

    Args:
        images: (N, H, W, 3) uint8.
        region: (N, H, W) bool, the holes.
        landmarks: (N, 68, 2), by which each face is framed.
    """

    def __init__(self, images: np.ndarray, region: np.ndarray, landmarks: np.ndarray) -> None:
        self._transforms = [canonical_transform(points, FRAME) for points in landmarks]
        self._region = region
        self._levels = [self._features(images, chosen) for chosen in self._batches()]

    def _batches(self) -> list[slice]:
        return [slice(i, i + _BATCH) for i in range(0, len(self._transforms), _BATCH)]

    def _framed(self, pictures: np.ndarray, chosen: slice, beyond: float = UNSHOWN) -> np.ndarray:
        pairs = zip(pictures, self._transforms[chosen], strict=True)
        return np.stack([warp(picture, t, (FRAME, FRAME), beyond) for picture, t in pairs])

    def _features(self, pictures: np.ndarray, chosen: slice) -> list[np.ndarray]:
        return feature_levels(self._framed(pictures[chosen], chosen))

    def _weight(self, chosen: slice) -> np.ndarray:
        return self._framed(self._region[chosen].astype(np.float32), chosen, beyond=0)

    def distances(self, pasted: np.ndarray) -> np.ndarray:
        """Perceptual distances (N,) of the true pictures with their holes filled.

        Args:
            pasted: (N, H, W, 3) uint8, the true pictures outside the holes.
        """
        return np.concatenate(
            [
                perceptual_distance(self._features(pasted, chosen), true, self._weight(chosen))
                for chosen, true in zip(self._batches(), self._levels, strict=True)
            ]
        )
