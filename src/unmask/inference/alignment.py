"""Following the landmarks of a face to its canonical frame, from the best of several starts."""

from collections.abc import Callable

import numpy as np

from unmask.geometry.frame import canonical_transform, invert, move_points, scale_of, warp
from unmask.inference.results import PictureError

Box = tuple[float, float, float, float]
FindLandmarks = Callable[[np.ndarray], tuple[np.ndarray, float]]

_FOLLOWED = 3  # times
_LOOSELY = (1.5, 1.2, 2.0)  # sides of a found face's box to the frame's
_WIDTHS = (0.4, 2.5)  # of the landmarks of a found face, in widths of its box
# Inter-ocular distances that the landmarks of a crop and of its mirror image lie apart, at most, in
# a sure frame, and in one that is worth restoring: of 169 faces in photos 4 % are beyond that, seen
# from the side or behind, or hardly at all.
_SURE, _LOST = 0.03, 0.15


def _starts(shape: tuple[int, ...], box: Box | None, size: int) -> list[np.ndarray]:
    """Transforms (2, 3) that show a found face, hairline to chin, more or less loosely framed; one
    that shows a whole picture."""
    x0, y0, x1, y1 = box or (0, 0, shape[1], shape[0])
    sides = [loosely * max(x1 - x0, y1 - y0) for loosely in (_LOOSELY if box else (1.0,))]
    centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) - 0.5
    return [
        np.column_stack([np.eye(2) * size / side, (size - 1) / 2 - size / side * centre])
        for side in sides
    ]


def _followed(
    picture: np.ndarray, find_landmarks: FindLandmarks, transform: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, float]:
    for _ in range(_FOLLOWED):
        seen, apart = find_landmarks(warp(picture, transform, (size, size)))
        landmarks = move_points(seen, invert(transform))
        try:
            aligned = canonical_transform(landmarks, size)
        except ValueError as error:
            raise PictureError(str(error)) from error
        if not 0.02 < size * scale_of(aligned) / max(picture.shape[:2]) < 6:
            raise PictureError("no face fills the picture, so it cannot be aligned")
        transform = aligned
    return transform, landmarks, apart


def lie_on(landmarks: np.ndarray, box: Box) -> bool:
    """Whether landmarks (68, 2) are those of the face found in a box, x0, y0, x1, y1."""
    x0, y0, x1, y1 = box
    x, y = landmarks.mean(axis=0)
    width = np.ptp(landmarks[:, 0]) / max(x1 - x0, 1)
    return bool(x0 <= x <= x1 and y0 <= y <= y1 and _WIDTHS[0] < width < _WIDTHS[1])


def align(
    picture: np.ndarray, find_landmarks: FindLandmarks, size: int, box: Box | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the face of a picture that shows one.

    Landmarks are followed from one start after the other, until those of a crop and of its mirror
    image agree; else those that lie on the face and agree best are taken. From a single start half
    profiles and close-ups end with both eyes on one, where they do not agree.

    Args:
        picture: (H, W, 3) uint8 RGB.
        find_landmarks: gives the landmarks (68, 2) of a crop (size, size, 3) in its pixels, and how
            far apart the two answers lie, in inter-ocular distances.
        size: side of the canonical frame in pixels.
        box: x0, y0, x1, y1 where the face is known to be; None looks at the whole picture.

    Returns:
        (transform (2, 3) from picture to canonical frame, landmarks (68, 2) in the picture).

    Raises:
        PictureError: when no face's landmarks can be made out, or those of a found one disagree.
    """
    found, elsewhere, failed = [], [], []
    for start in _starts(picture.shape, box, size):
        try:
            answer = _followed(picture, find_landmarks, start, size)
        except PictureError as error:
            failed.append(error)
            continue
        if box is not None and not lie_on(answer[1], box):
            elsewhere.append(answer)
            continue
        found.append(answer)
        if answer[2] <= _SURE:
            break
    if not (found or elsewhere):
        raise failed[0]
    transform, landmarks, apart = min(found or elsewhere, key=lambda answer: answer[2])
    if box is not None and apart > _LOST:
        raise PictureError("its landmarks cannot be made out: two views of it disagree")
    return transform, landmarks
