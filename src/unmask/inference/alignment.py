"""From a picture to a face's canonical frame: landmarks and frame, each found from the other."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from unmask.config.restore import Alignment
from unmask.geometry.frame import canonical_transform, invert, move_points, scale_of, warp
from unmask.geometry.landmarks import COUNT, LEFT_EYE, MOUTH, NOSE_TIP, RIGHT_EYE, eye_centres
from unmask.inference.results import PictureError

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class DetectedFace:
    """A face that was detected in a picture.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the picture.
        score: the detector's confidence in [0, 1].
        points: (5, 2) pixels, the eyes, the nose's tip and the mouth's corners, each pair from the
            picture's left.
    """

    box: Box
    score: float
    points: np.ndarray

    @property
    def side(self) -> float:
        """The longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])

    def moved(self, x: float, y: float) -> "DetectedFace":
        """The same face in a picture of which this one's picture is the part at (x, y)."""
        x0, y0, x1, y1 = self.box
        points = self.points + np.array([x, y])
        return replace(self, box=(x0 + x, y0 + y, x1 + x, y1 + y), points=points)


class FindLandmarks(Protocol):
    """Finds the landmarks of a crop."""

    def __call__(self, crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        """Landmarks (68, 2) of a crop (S, S, 3) in its pixels, and their disagreement.

        Args:
            crop: (S, S, 3) uint8 RGB.
            compare: whether to compare them with those of the mirror image; the disagreement is
                the distance between the two, in inter-ocular distances.
        """
        ...


_PLAUSIBLE = (0.02, 6)  # sides of the frame, in longer sides of the picture


def _starts(
    shape: tuple[int, ...], face: DetectedFace | None, size: int, settings: Alignment
) -> list[np.ndarray]:
    """Transforms (2, 3) to frames around a detected face, or to one of the whole picture.

    The last is laid by the detector's points, as it is in profiles, which no other start leads to.
    """
    x0, y0, x1, y1 = face.box if face else (0, 0, shape[1], shape[0])
    sides = [ratio * max(x1 - x0, y1 - y0) for ratio in (settings.starts if face else (1.0,))]
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - 0.5
    around = [
        np.column_stack([np.eye(2) * size / side, (size - 1) / 2 - size / side * centre])
        for side in sides
    ]
    return around + ([] if face is None else _frame_of(face.points, size))


def _frame_of(points: np.ndarray, size: int) -> list[np.ndarray]:
    """The frame (2, 3) that a detector's points (5, 2) lay; none where its eyes coincide."""
    landmarks = np.zeros((COUNT, 2))
    landmarks[RIGHT_EYE], landmarks[LEFT_EYE] = points[0], points[1]
    landmarks[MOUTH] = points[3:].mean(axis=0)
    try:
        return [canonical_transform(landmarks, size)]
    except ValueError:
        return []


def _iterate(
    picture: np.ndarray,
    find_landmarks: FindLandmarks,
    transform: np.ndarray,
    size: int,
    iterations: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """The frame (2, 3), landmarks (68, 2) in the picture, and their disagreement, from a start."""
    for number in range(1, iterations + 1):
        crop = warp(picture, transform, (size, size))
        found, disagreement = find_landmarks(crop, compare=number == iterations)
        landmarks = move_points(found, invert(transform))
        try:
            aligned = canonical_transform(landmarks, size)
        except ValueError as error:
            raise PictureError(str(error)) from error
        side = size * scale_of(aligned) / max(picture.shape[:2])
        if not _PLAUSIBLE[0] < side < _PLAUSIBLE[1]:
            raise PictureError("no face fills the picture, so it cannot be aligned")
        transform = aligned
    return transform, landmarks, disagreement


def fits(landmarks: np.ndarray, face: DetectedFace, settings: Alignment) -> bool:
    """Whether landmarks (68, 2) are those of a detected face, by its box and by its points.

    Args:
        landmarks: (68, 2) in the picture.
        face: in the picture.
        settings: whose `width` and `apart` count.
    """
    x0, y0, x1, y1 = face.box
    x, y = landmarks.mean(axis=0)
    width = np.ptp(landmarks[:, 0]) / max(x1 - x0, 1)
    least, most = settings.width
    near = x0 <= x <= x1 and y0 <= y <= y1 and least < width < most
    return bool(near and points_apart(landmarks, face) <= settings.apart)


def points_apart(landmarks: np.ndarray, face: DetectedFace) -> float:
    """Mean distance of eyes and nose from the detector's, in longer sides of the face's box.

    The mouth, which a mask hides, does not count.
    """
    seen = np.stack([*eye_centres(landmarks), landmarks[NOSE_TIP]])
    return float(np.linalg.norm(seen - face.points[:3], axis=1).mean() / max(face.side, 1))


def align(
    picture: np.ndarray,
    find_landmarks: FindLandmarks,
    size: int,
    settings: Alignment,
    face: DetectedFace | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the face of a picture that shows one.

    One start after the other is tried, until the landmarks of a crop and of its mirror image agree;
    else those that fit the face and agree best are taken. From a single start half profiles and
    close-ups end with both eyes on one, where they do not agree.

    Args:
        picture: (H, W, 3) uint8 RGB.
        find_landmarks: finds those of a crop; compared with its mirror image's in the last of the
            iterations.
        size: side of the canonical frame in pixels.
        settings: of the search.
        face: where the face is known to be; None looks at the whole picture.

    Returns:
        (transform (2, 3) from picture to canonical frame, landmarks (68, 2) in the picture).

    Raises:
        PictureError: when no face's landmarks can be made out, or those of two views disagree.
    """
    found, elsewhere, failed = [], [], []
    for start in _starts(picture.shape, face, size, settings):
        try:
            answer = _iterate(picture, find_landmarks, start, size, settings.iterations)
        except PictureError as error:
            failed.append(error)
            continue
        if face is not None and not fits(answer[1], face, settings):
            elsewhere.append(answer)
            continue
        found.append(answer)
        if answer[2] <= settings.agreement:
            break
    if not (found or elsewhere):
        raise failed[0]
    transform, landmarks, disagreement = min(found or elsewhere, key=lambda answer: answer[2])
    if disagreement > settings.disagreement:
        raise PictureError("its landmarks cannot be made out: two views of it disagree")
    return transform, landmarks
