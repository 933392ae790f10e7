"""Separates a head from what is behind it, in the mean-shape frame.

Rother, Kolmogorov & Blake, "GrabCut", SIGGRAPH 2004, seeded with where heads always and never are.
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
    """Mattes of textures warped to one mean shape, whose landmarks (68, 2) are in texels."""

    def __init__(self, landmarks: Points, size: int) -> None:
        self._size = size
        self._seed = _seeds((landmarks + 0.5) * (_WORKING_SIZE / size) - 0.5)

    def matte(self, texture: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Head matte (size, size), 0 behind the head to 255 on it, of an RGB image.

        Only what `shown` (size, size) marks as photo can be sure head or sure background.
        """
        small = cv2.resize(texture, (_WORKING_SIZE, _WORKING_SIZE), interpolation=cv2.INTER_AREA)
        label = self._seed.copy()
        there = cv2.resize(shown.astype(np.uint8), small.shape[:2], interpolation=cv2.INTER_AREA)
        label[there == 0] = cv2.GC_PR_BGD
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        cv2.grabCut(lab, label, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
        head = np.isin(label, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8) * 255
        head = cv2.morphologyEx(head, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        head = cv2.GaussianBlur(head, (0, 0), 0.7)
        return cv2.resize(head, (self._size, self._size), interpolation=cv2.INTER_LINEAR)


def _seeds(points: Points) -> NDArray[np.uint8]:
    size = _WORKING_SIZE
    left, right = eye_centres(points)
    middle, unit = (left + right) / 2, float(np.hypot(*(right - left)))

    def ellipse(width: float, height: float) -> NDArray[np.bool_]:
        box = (tuple(map(float, middle)), (width * unit, height * unit), 0.0)
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
