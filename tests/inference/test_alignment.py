import cv2
import numpy as np
import pytest

from unmask.config.restore import Alignment
from unmask.geometry.frame import EYE_DISTANCE, EYE_HEIGHT, move_points
from unmask.geometry.landmarks import LEFT_EYE, RIGHT_EYE, eye_centres
from unmask.inference.alignment import DetectedFace, align, fits
from unmask.inference.results import PictureError

SIZE = 128
EYES = {"right": ((120, 150), 0), "left": ((180, 140), 1)}  # (x, y) in the picture, channel


def face(*box: float, points: np.ndarray | None = None) -> DetectedFace:
    """A detected face, whose points tell no frame unless they are given."""
    return DetectedFace(box, 0.9, np.zeros((5, 2)) if points is None else points)


def two_eyes() -> np.ndarray:
    picture = np.full((300, 400, 3), 0, np.uint8)
    for place, channel in EYES.values():
        dot = np.zeros((300, 400), np.uint8)
        cv2.circle(dot, place, 5, 255, -1)
        picture[..., channel] = dot
    return picture


def look(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
    """Landmarks laid by the two dots, sure where both are seen; else both eyes on what is seen."""
    centres = []
    for _, channel in EYES.values():
        rows, columns = np.nonzero(crop[..., channel] > 200)
        centres.append(np.array([columns.mean(), rows.mean()]) if len(rows) else None)
    seen = [centre for centre in centres if centre is not None] or [np.full(2, SIZE / 2)]
    right, left = (seen[0] if centre is None else centre for centre in centres)
    sure = len(seen) == 2
    landmarks = np.tile((right + left) / 2, (68, 1)).astype(np.float32)
    landmarks[RIGHT_EYE] = right if sure else right - np.array([19, 0])
    landmarks[LEFT_EYE] = left if sure else left + np.array([19, 0])
    return landmarks, 0.01 if sure else 0.1


def level_face(eyes: float) -> np.ndarray:
    """Landmarks of a face that fills the frame, its eyes at a height."""
    landmarks = np.full((68, 2), SIZE / 2, np.float32)
    landmarks[0, 0], landmarks[16, 0] = 20, 108
    landmarks[RIGHT_EYE], landmarks[LEFT_EYE] = (45, eyes), (83, eyes)
    return landmarks


@pytest.mark.parametrize(
    "found",
    [None, face(80, 100, 230, 260), face(131, 126, 169, 164)],
    ids=["whole", "face", "no eye"],
)
def test_the_eyes_come_to_their_place_in_the_frame(found):
    transform, landmarks = align(two_eyes(), look, SIZE, Alignment(), found)
    for centre, (place, _) in zip(eye_centres(landmarks), EYES.values(), strict=True):
        assert np.abs(centre - place).max() < 2
    right, left = eye_centres(move_points(landmarks, transform))
    np.testing.assert_allclose(right[1], EYE_HEIGHT * SIZE - 0.5, atol=0.01)
    np.testing.assert_allclose(left - right, [EYE_DISTANCE * SIZE, 0], atol=0.01)


def test_the_mirror_image_is_compared_with_in_the_last_iteration_alone():
    compared = []

    def find(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        compared.append(compare)
        return look(crop, compare=compare)

    align(two_eyes(), find, SIZE, Alignment())
    assert compared == [False, False, True]


def test_where_no_start_is_sure_the_surest_is_taken():
    found = []

    def unsure(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        start = len(found) // 3  # each has three iterations
        found.append(start)
        landmarks = level_face(50 + start)
        return landmarks, [0.09, 0.05, 0.07][start]

    transform, landmarks = align(two_eyes(), unsure, SIZE, Alignment(), face(100, 100, 180, 180))
    assert found == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    right, _ = eye_centres(move_points(landmarks, transform))
    assert right[1] == pytest.approx(EYE_HEIGHT * SIZE - 0.5, abs=0.01)

    def only(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        return level_face(51), 0.0

    tighter = face(108, 108, 172, 172)  # of which 1.5 sides are 1.2 of the box's
    np.testing.assert_allclose(transform, align(two_eyes(), only, SIZE, Alignment(), tighter)[0])


def test_starts_iterations_and_agreement_are_settings():
    box, answers = face(100, 100, 180, 180), []

    def unsure(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        answers.append(crop)
        return level_face(51), 0.05

    for settings, count in (
        (Alignment(starts=(1.5, 1.2), iterations=2), 4),
        (Alignment(agreement=0.06), 3),
        (Alignment(width=(3.0, 4.0), starts=(1.0,)), 3),
    ):
        answers.clear()
        align(two_eyes(), unsure, SIZE, settings, box)
        assert len(answers) == count
    with pytest.raises(PictureError, match="two views of it disagree"):
        align(two_eyes(), unsure, SIZE, Alignment(disagreement=0.04), box)
    assert fits(level_face(51), face(0, 0, 128, 128), Alignment())
    assert not fits(level_face(51), face(0, 0, 128, 128), Alignment(width=(3.0, 4.0)))


def test_eyes_at_one_point_cannot_be_aligned():
    def one_point(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        return np.zeros((68, 2), np.float32), 0.0

    with pytest.raises(PictureError, match="coincide"):
        align(two_eyes(), one_point, SIZE, Alignment())


def test_a_start_that_leads_to_another_face_is_not_taken():
    starts = []

    def astray(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        first = len(starts) < 3
        starts.append(first)
        return level_face(51) + 140 * first, 0.0 if first else 0.02

    _, landmarks = align(two_eyes(), astray, SIZE, Alignment(), face(100, 100, 180, 180))
    assert len(starts) == 6
    assert (np.abs(landmarks.mean(axis=0) - 140) < 40).all()


@pytest.mark.parametrize("detected", [None, face(80, 100, 230, 260)])
def test_a_face_whose_views_disagree_is_not_restored(detected):
    def unsure(crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        return level_face(60), 0.2

    with pytest.raises(PictureError, match="two views of it disagree"):
        align(two_eyes(), unsure, SIZE, Alignment(), detected)
