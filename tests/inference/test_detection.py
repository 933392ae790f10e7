import numpy as np
import pytest

from unmask.config.restore import Detection
from unmask.inference import detection
from unmask.inference.detection import FaceDetector
from unmask.masking.samples import sample

SIDE, FACE = 640, 120


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """A photo with a column of faces closer to each other than strips overlap."""
    photo = np.full((SIDE, SIDE, 3), (120, 130, 140), np.uint8)
    for number, top in enumerate(range(10, SIDE - FACE, FACE + 5)):
        photo[top : top + FACE, 260 : 260 + FACE] = sample(1, number, FACE, masked=True)
    return photo


@pytest.mark.parametrize("pixels", [250_000, 150_000], ids=["two strips", "three strips"])
def test_a_photo_seen_in_strips_shows_each_face_once(crowd, monkeypatch, pixels):
    detector = FaceDetector(Detection(sides=(SIDE,)))
    whole = sorted(face.box[1] for face in detector.find(crowd))
    assert len(whole) == 5
    monkeypatch.setattr(detection, "_MOST_PIXELS", pixels)
    strips = sorted(face.box[1] for face in detector.find(crowd))
    np.testing.assert_allclose(strips, whole, atol=4)


def test_a_face_taller_than_a_strip_is_one_face(monkeypatch):
    photo = np.full((SIDE, SIDE, 3), (120, 130, 140), np.uint8)
    photo[60:580, 60:580] = sample(1, 0, 520, masked=True)
    monkeypatch.setattr(detection, "_MOST_PIXELS", 150_000)
    (face,) = FaceDetector(Detection(sides=(320, SIDE))).find(photo)
    assert face.box[3] - face.box[1] > 300


def test_the_narrowest_photo_is_searched():
    detector = FaceDetector(Detection(upright=0.8))
    for shape in ((16, 20_000, 3), (20_000, 16, 3), (1, 5000, 3), (5000, 1, 3)):
        assert detector.find(np.full(shape, 127, np.uint8)) == []
        assert (
            FaceDetector(Detection(upright=0.8)).quarter_turns(np.full(shape, 127, np.uint8)) == 0
        )
    flat = np.full((128, 6000, 3), 127, np.uint8)
    assert FaceDetector(Detection(sides=(6000,))).find(flat) == []
