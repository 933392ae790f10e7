from dataclasses import replace

import cv2
import numpy as np
import pytest
from restorations import whole

from unmask.config.restore import Detection, Restore
from unmask.faces.sources import Sampled
from unmask.inference.chain import Chain
from unmask.inference.detection import FaceDetector
from unmask.inference.photo import PhotoRestorer
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    PictureError,
    Restoration,
    RestoreOptions,
)
from unmask.masking.samples import sample
from unmask.networks import RELEASED

GREY = 120


@pytest.fixture(scope="module")
def finder():
    return FaceDetector(Detection(largest_seen=192))


def photo_with(*places: tuple[int, int, int], shape: tuple[int, int] = (420, 640)) -> np.ndarray:
    """Synthetic faces pasted at (x, y) with a side in pixels on a grey photo."""
    photo = np.full((*shape, 3), GREY, np.uint8)
    for index, (x, y, side) in enumerate(places):
        face = Sampled(0, index, 128).read().image
        photo[y : y + side, x : x + side] = cv2.resize(face, (side, side))
    return photo


def found_rows(rows: list[list[float]]) -> np.ndarray:
    """The detector's rows of boxes and scores, with points in the middle of each box."""
    boxes = np.array(rows).reshape(-1, 5)
    points = np.tile((boxes[:, :2] + boxes[:, 2:4]) / 2, 5)
    return np.column_stack([boxes[:, :4], points, boxes[:, 4]])


def centre(box) -> np.ndarray:
    return np.array([box[0] + box[2], box[1] + box[3]]) / 2


def test_every_face_is_found_once_the_largest_first(finder):
    found = finder.find(photo_with((40, 60, 220), (380, 150, 120)))
    assert len(found) == 2
    assert np.abs(centre(found[0].box) - [150, 170]).max() < 40
    assert np.abs(centre(found[1].box) - [440, 210]).max() < 25
    assert all(0.4 <= face.score <= 1 for face in found)


def test_a_face_is_found_at_the_same_place_in_a_larger_photo(finder):
    photo = photo_with((40, 60, 220))
    (small,) = finder.find(photo)
    (large,) = finder.find(cv2.resize(photo, None, fx=5, fy=5))
    assert np.abs(np.array(large.box) / 5 - small.box).max() < 12


def test_part_of_a_face_is_no_other_face(finder, monkeypatch):
    rows = {
        320: [[100, 100, 300, 380, 0.8], [120, 160, 240, 320, 0.9], [400, 100, 480, 210, 0.7]],
        640: [[104, 98, 302, 384, 0.6]],
    }
    monkeypatch.setattr(finder, "_at", lambda photo, side: found_rows(rows.get(side, [])))
    found = finder.find(np.zeros((400, 640, 3), np.uint8))
    assert [face.score for face in found] == [0.9, 0.7]


def test_a_box_too_large_for_the_network_gives_way_to_a_less_sure_one(finder, monkeypatch):
    rows = {320: [[10, 10, 310, 310, 0.6]], 640: [[10, 10, 310, 200, 0.9]]}
    monkeypatch.setattr(finder, "_at", lambda photo, side: found_rows(rows.get(side, [])))
    (face,) = finder.find(np.zeros((640, 640, 3), np.uint8))
    assert face.box == (10, 10, 310, 310)


def test_nothing_is_found_where_nobody_is(finder):
    assert finder.find(np.full((100, 300, 3), GREY, np.uint8)) == []
    assert finder.find(np.zeros((1, 1, 3), np.uint8)) == []


class Painter:
    """Paints the lower half of the box it is told of red, as a chain would restore it."""

    settings = Restore()

    def __init__(self, agree: bool = True) -> None:
        self.seen: list = []
        self.owns: list = []
        self.untouched: list = []
        self._agree = agree

    def restore(self, picture, options=DEFAULT_OPTIONS, face=None, own=None) -> Restoration:
        box = None if face is None else face.box
        self.seen.append((picture.shape, options, box))
        self.owns.append(own)
        self.untouched.append(not (picture == (255, 0, 0)).all(axis=2).any())
        hole = np.zeros(picture.shape[:2], bool)
        if box is None:
            answer = FaceAnswer("no_mask", "no mask", (0, 0, 1, 1), None, 0.5, 0.0, 0.0)
            return Restoration(picture, [answer], [])
        x0, y0, x1, y1 = map(round, box)
        hole[(y0 + y1) // 2 : y1, x0:x1] = True
        painted = picture.copy()
        painted[hole] = (255, 0, 0)
        points = np.random.default_rng(0).uniform((x0, y0), (x1, y1), (68, 2))
        points = points.astype(np.float32) + (0 if self._agree else 10_000)
        answer = FaceAnswer("restored", "", tuple(map(float, box)), points, 0.7, 0.3, 0.9)
        greens = tuple(
            np.where(hole[..., None], (0, 100 + i, 0), picture).astype(np.uint8)
            for i in range(options.samples)
        )
        return whole(picture, painted, hole, answer, greens)


def test_each_face_is_restored_in_its_part_and_answered_in_the_photos_pixels():
    photo = photo_with((40, 60, 220), (380, 150, 120))
    chain = Painter()
    restored = PhotoRestorer(chain).restore(photo, RestoreOptions("female", samples=2))
    assert [face.status for face in restored.faces] == ["restored", "restored"]
    assert [seen[1].gender for seen in chain.seen] == ["female", "female"]
    assert all(seen[0][0] < 420 or seen[0][1] < 640 for seen in chain.seen)
    assert (restored.picture[restored.hole] == (255, 0, 0)).all()
    assert (restored.picture[~restored.hole] == photo[~restored.hole]).all()
    samples = list(restored.samples)
    assert len(samples) == 2
    for number, drawn in enumerate(samples):
        assert (drawn[restored.hole] == (0, 100 + number, 0)).all()
        assert (drawn[~restored.hole] == photo[~restored.hole]).all()
    assert (restored.uncertainty[restored.hole] > 0).all()
    assert (restored.uncertainty[~restored.hole] == 0).all()
    for face, where in zip(restored.faces, ([150, 170], [440, 210]), strict=True):
        assert np.abs(centre(face.box) - where).max() < 40
        assert np.abs(face.landmarks.mean(axis=0) - where).max() < 40
        x, y = np.round(centre(face.box)).astype(int)
        assert restored.hole[y + 3, x]
        assert not restored.hole[y - 5, x]


def test_neighbours_are_restored_from_the_photo_as_given_each_on_its_own_ground():
    photo, chain = photo_with((40, 60, 220), (230, 60, 220)), Painter()
    restored = PhotoRestorer(chain).restore(photo)
    assert [face.status for face in restored.faces] == ["restored", "restored"]
    assert chain.untouched == [True, True]
    for (shape, _, box), own in zip(chain.seen, chain.owns, strict=True):
        assert own.shape == shape[:2]
        x0, y0, x1, y1 = (round(v) for v in box)
        middle = (x0 + x1) // 2
        assert own[(y0 + y1) // 2, middle]
        assert not own.all()


def test_landmarks_beside_the_face_leave_it_untouched():
    photo = photo_with((40, 60, 220))
    restored = PhotoRestorer(Painter(agree=False)).restore(photo)
    assert [face.status for face in restored.faces] == ["skipped"]
    assert "landmarks" in restored.faces[0].reason
    assert (restored.picture == photo).all()
    assert not restored.hole.any()


def test_the_smallest_face_and_what_is_around_it_are_settings():
    photo, chain = photo_with((40, 60, 220)), Painter()
    chain.settings = Restore(detection=Detection(smallest=300.0))
    (face,) = PhotoRestorer(chain).restore(photo).faces
    assert face.reason == "the face is too small to restore"
    chain.settings = Restore(detection=Detection(margin=0.6))
    PhotoRestorer(chain).restore(photo)
    (shape, _, (x0, y0, x1, y1)) = chain.seen[-1]
    assert max(shape[:2]) == pytest.approx(1.2 * max(x1 - x0, y1 - y0), abs=2)


def test_a_photo_without_a_face_comes_back_with_the_reason():
    photo = photo_with()
    chain = Painter()
    restored = PhotoRestorer(chain).restore(photo)
    assert chain.seen == [(photo.shape, DEFAULT_OPTIONS, None)]
    assert [(face.status, face.reason) for face in restored.faces] == [
        ("skipped", "no face was found")
    ]
    assert (restored.picture == photo).all()


UPRIGHT = Detection(largest_seen=192, upright=0.8)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_a_turned_photo_is_told_by_its_faces(turns, masked):
    photo = photo_with()
    photo[60:280, 200:420] = sample(3, 1, 220, masked=masked)
    turned = np.ascontiguousarray(np.rot90(photo, turns))
    detector = FaceDetector(UPRIGHT)
    assert detector.quarter_turns(turned) == -turns % 4
    assert FaceDetector(Detection()).quarter_turns(turned) == 0, "models of before turn no photo"


def test_a_photo_that_shows_nobody_is_not_turned():
    assert FaceDetector(UPRIGHT).quarter_turns(photo_with()) == 0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_photo_is_restored_as_the_upright_one_is(released, turns):
    photo = photo_with()
    photo[60:280, 200:420] = sample(3, 1, 220, masked=True)
    restorer, options = PhotoRestorer(released), RestoreOptions(samples=1)
    upright = restorer.restore(photo, options)
    assert [face.status for face in upright.faces] == ["restored"]
    turned = restorer.restore(
        np.ascontiguousarray(np.rot90(photo, turns)), RestoreOptions(samples=1)
    )
    np.testing.assert_array_equal(np.rot90(turned.picture, -turns), upright.picture)
    np.testing.assert_array_equal(np.rot90(turned.hole, -turns), upright.hole)


@pytest.fixture(scope="module")
def released() -> Chain:
    return Chain.load(RELEASED)


def test_what_the_detector_does_not_find_again_is_not_restored(released, monkeypatch):
    photo = photo_with()
    photo[60:280, 200:420] = sample(3, 1, 220, masked=True)
    restorer = PhotoRestorer(released)
    assert restorer.restore(photo).altered
    look = restorer._detector.look
    for answer in (
        lambda picture: [],
        lambda picture: [replace(face, score=0.3) for face in look(picture)],
        lambda picture: [face.moved(60, 0) for face in look(picture)],
    ):
        monkeypatch.setattr(restorer._detector, "look", answer)
        monkeypatch.setattr(restorer._detector, "quarter_turns", lambda photo: 0)
        restored = restorer.restore(photo)
        assert [face.status for face in restored.faces] == ["skipped"]
        assert "does not fit the face" in restored.faces[0].reason
        np.testing.assert_array_equal(restored.picture, photo)


def test_a_close_up_in_which_no_face_is_found_again_stays(released, monkeypatch):
    close_up = sample(3, 1, 220, masked=True)
    restorer = PhotoRestorer(released)
    monkeypatch.setattr(restorer._detector, "find", lambda photo: [])
    assert restorer.restore(close_up).altered
    monkeypatch.setattr(restorer._detector, "look", lambda picture: [])
    restored = restorer.restore(close_up)
    assert not restored.altered
    assert restored.faces[0].reason == "no face was found"


@pytest.mark.parametrize("number", [1, 2])
def test_one_face_of_several_is_restored_as_it_is_among_them(released, number):
    photo = photo_with()
    photo[60:280, 40:260] = sample(3, 1, 220, masked=True)
    photo[60:280, 380:600] = sample(3, 2, 220, masked=True)
    restorer = PhotoRestorer(released)
    both = restorer.restore(photo)
    chosen = restorer.restore(photo, RestoreOptions(faces=frozenset({number})))
    assert [face.status for face in both.faces] == ["restored", "restored"]
    other = 2 - number
    assert chosen.faces[other].status == "skipped"
    assert chosen.faces[other].reason == "it was not chosen"
    assert chosen.faces[number - 1].status == "restored"
    assert [patch.columns for patch in chosen.patches] == [both.patches[number - 1].columns]
    sides = [np.s_[:, :320], np.s_[:, 320:]]
    own, foreign = sides if centre(both.faces[number - 1].box)[0] < 320 else sides[::-1]
    np.testing.assert_array_equal(chosen.picture[own], both.picture[own])
    np.testing.assert_array_equal(chosen.picture[foreign], photo[foreign])


def test_a_face_that_was_not_found_cannot_be_chosen(released):
    photo = photo_with()
    photo[60:280, 200:420] = sample(3, 1, 220, masked=True)
    with pytest.raises(PictureError, match="face 3 is chosen, but the faces found are 1"):
        PhotoRestorer(released).restore(photo, RestoreOptions(faces=frozenset({1, 3})))


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_no_close_up_of_a_face(released, seed):
    coarse = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    noise = cv2.resize(coarse, (200, 200), interpolation=cv2.INTER_CUBIC)
    restored = PhotoRestorer(released).restore(noise, RestoreOptions(crop=True))
    assert restored.faces[0].status != "restored"
    np.testing.assert_array_equal(restored.picture, noise)


def test_a_close_up_is_restored_without_a_search(released, monkeypatch):
    restorer = PhotoRestorer(released)
    monkeypatch.setattr(restorer._detector, "find", lambda photo: pytest.fail("searched"))
    face = sample(3, 1, 220, masked=True)
    assert restorer.restore(face, RestoreOptions(crop=True)).altered
