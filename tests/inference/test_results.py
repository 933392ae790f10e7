"""Restorations as patches of a picture, and turned with it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.errors import UnmaskError
from unmask.inference.results import (
    FaceAnswer,
    Patch,
    PictureError,
    Restoration,
    RestoreOptions,
    spread_of,
)

HEIGHT, WIDTH = 30, 50


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def patch(rows: slice, columns: slice, seed: int, samples: int = 2) -> Patch:
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    hole = noise(seed, *shape) > 100
    pictures = [noise(seed + i, *shape, 3) for i in range(samples + 1)]
    return Patch(rows, columns, pictures[0], hole, hole, tuple(pictures[1:]))


def restoration() -> Restoration:
    landmarks = np.random.default_rng(0).uniform((0, 0), (WIDTH, HEIGHT), (68, 2))
    box = (*landmarks.min(axis=0).tolist(), *landmarks.max(axis=0).tolist())
    face = FaceAnswer("restored", "", box, landmarks.astype(np.float32), 0.5, 0.3, 0.9)
    skipped = FaceAnswer("skipped", "why", (1.0, 2.0, 3.0, 5.0), None, 0.5, 0.0, 0.0)
    patches = [patch(slice(2, 20), slice(5, 30), 1), patch(slice(10, 28), slice(25, 49), 7)]
    return Restoration(noise(9, HEIGHT, WIDTH, 3), [face, skipped], patches, 2)


def test_the_patches_lie_in_the_picture_the_later_above_the_earlier():
    restored = restoration()
    expected = restored.given.copy()
    for one in restored.patches:
        expected[one.rows, one.columns] = one.picture
    np.testing.assert_array_equal(restored.picture, expected)
    assert len(list(restored.samples)) == 2
    outside = np.ones((HEIGHT, WIDTH), bool)
    for one in restored.patches:
        outside[one.rows, one.columns] = False
    for sample in restored.samples:
        np.testing.assert_array_equal(sample[outside], restored.given[outside])
    assert not restored.hole[outside].any()
    assert (restored.uncertainty[outside] == 0).all()
    assert restored.altered


def test_what_is_not_restored_is_as_it_was():
    given_ = noise(3, HEIGHT, WIDTH, 3)
    nothing = Restoration(given_, [], [], 1)
    np.testing.assert_array_equal(nothing.picture, given_)
    assert nothing.picture is not given_
    np.testing.assert_array_equal(next(nothing.samples), given_)
    assert not nothing.altered
    assert not nothing.hole.any()


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_a_turned_restoration_is_that_of_the_turned_picture(turns):
    before = restoration()
    after = before
    for _ in range(turns):
        after = after.turned()
    for name in ("picture", "hole", "mask", "uncertainty"):
        wanted = np.rot90(getattr(before, name), turns)
        np.testing.assert_allclose(getattr(after, name), wanted, atol=1e-3)
    for one, other in zip(after.samples, before.samples, strict=True):
        np.testing.assert_array_equal(one, np.rot90(other, turns))
    face = after.faces[0]
    assert face.landmarks is not None
    low, high = face.landmarks.min(axis=0), face.landmarks.max(axis=0)
    np.testing.assert_allclose(face.box, [*low, *high], atol=1e-3)
    assert after.faces[1].landmarks is None


def test_a_landmark_turns_with_its_pixel():
    given_ = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    given_[7, 31] = 255
    points = np.tile(np.array([[31.0, 7.0]], np.float32), (68, 1))
    face = FaceAnswer("no_mask", "", (31.0, 7.0, 31.0, 7.0), points, 0.5, 0.0, 0.0)
    turned = Restoration(given_, [face], []).turned()
    assert turned.faces[0].landmarks is not None
    x, y = turned.faces[0].landmarks[0].astype(int)
    assert (turned.given[y, x] == 255).all()


@given(seed=st.integers(0, 99), count=st.integers(1, 5))
def test_the_spread_is_the_standard_deviation(seed, count):
    samples = [noise(seed + i, 6, 8, 3) for i in range(count)]
    expected = np.stack(samples).astype(np.float32).std(axis=0).mean(axis=2)
    np.testing.assert_allclose(spread_of(samples), expected, atol=1e-3)


def test_faces_are_chosen_by_their_numbers():
    restored = restoration()
    other = FaceAnswer("restored", "", (0.0, 0.0, 9.0, 9.0), None, 0.5, 0.3, 0.9)
    three = replace(restored, faces=[*restored.faces, other])
    assert three.only(None) is three
    last = three.only(frozenset({2, 3}))
    assert [face.status for face in last.faces] == ["skipped", "skipped", "restored"]
    assert [face.reason for face in last.faces] == ["it was not chosen", "why", ""]
    assert last.patches == three.patches[1:]
    with pytest.raises(PictureError, match="face 4 is chosen, but the faces found are 3"):
        three.only(frozenset({1, 4}))


@pytest.mark.parametrize(
    ("given_", "chosen"),
    [("all", None), ("1", {1}), ("1,3", {1, 3}), ("12, 3,3", {3, 12}), ("000001", {1})],
)
def test_numbers_of_faces_are_a_list(given_, chosen):
    options = RestoreOptions.parse("auto", 0, 0, False, given_)
    assert options.faces == (None if chosen is None else frozenset(chosen))


@pytest.mark.parametrize(
    "given_", ["", "0", "1,,2", "-1", "1-3", "one", "1,", "All", "9" * 7, "1" * 5000]
)
def test_what_is_no_list_of_numbers_is_told(given_):
    with pytest.raises(UnmaskError, match="use all, or numbers from 1"):
        RestoreOptions.parse("auto", 0, 0, False, given_)
