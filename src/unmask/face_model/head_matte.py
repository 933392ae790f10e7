"""Separates a head from its background, in the mean-shape frame.

Rother, Kolmogorov & Blake, "GrabCut", SIGGRAPH 2004, seeded with where a head always and never is.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.face_model.piecewise_affine import Points
from unmask.geometry.landmarks import eye_centres

_WORKING_SIZE = 64
_ITERATIONS = 2


class HeadMatting:
    """Computes mattes of textures that are warped to one mean shape."""

    def __init__(self, landmarks: Points, size: int) -> None:
        """Seed by the mean landmarks (68, 2), in texels of textures of side `size`."""
        self._size = size
        self._seed = _seeds((landmarks + 0.5) * (_WORKING_SIZE / size) - 0.5)

    def matte(self, texture: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """Matte (size, size) of an RGB texture (size, size, 3): 255 on the head, 0 behind it.

        Only texels that lie in the photo, `shown` (size, size), are seeds of head or background.
        """
        small = cv2.resize(texture, (_WORKING_SIZE, _WORKING_SIZE), interpolation=cv2.INTER_AREA)
        label = self._seed.copy()
        in_photo = cv2.resize(shown.astype(np.uint8), small.shape[:2], interpolation=cv2.INTER_AREA)
        label[in_photo == 0] = cv2.GC_PR_BGD
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        unused = (0, 0, 0, 0)  # the box, which the labels replace
        cv2.grabCut(lab, label, unused, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
        head: np.ndarray = np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
        head = cv2.morphologyEx(head, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        head = cv2.GaussianBlur(head, (0, 0), 0.7)
        return cv2.resize(head, (self._size, self._size), interpolation=cv2.INTER_LINEAR)


def _seeds(points: Points) -> NDArray[np.uint8]:
    """GrabCut's labels (64, 64) by landmarks (68, 2) in its pixels."""
    size = _WORKING_SIZE
    left, right = eye_centres(points)
    middle, unit = (left + right) / 2, float(np.hypot(*(right - left)))

    def ellipse(width: float, height: float) -> NDArray[np.bool_]:
        """A filled ellipse about the eyes' middle, its axes in inter-ocular distances."""
        box = ((float(middle[0]), float(middle[1])), (width * unit, height * unit), 0.0)
        return cv2.ellipse(np.zeros((size, size), np.uint8), box, 1, -1) > 0

    seed = np.full((size, size), cv2.GC_PR_BGD, np.uint8)
    seed[ellipse(2.9, 4.0)] = cv2.GC_PR_FGD
    seed[int(points[6, 1]) :, int(points[4, 0]) : int(points[12, 0])] = cv2.GC_PR_FGD
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    face = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), hull, 1)
    seed[cv2.erode(face, np.ones((3, 3), np.uint8)) > 0] = cv2.GC_FGD
    seed[ellipse(1.9, 3.0)] = cv2.GC_FGD
    seed[int(points[8, 1]) :, int(points[7, 0]) : int(points[9, 0])] = cv2.GC_FGD
    sides = np.zeros((size, size), np.bool_)
    sides[: int(0.55 * size), : int(0.08 * size)] = True
    sides |= sides[:, ::-1]
    seed[sides & ~ellipse(3.1, 4.0)] = cv2.GC_BGD
    return seed
