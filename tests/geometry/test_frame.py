import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.faces.records import Face, framed
from unmask.faces.sources import Sampled
from unmask.geometry.frame import (
    EYE_DISTANCE,
    EYE_HEIGHT,
    canonical_transform,
    invert,
    move_points,
    scale_of,
    shown,
    warp,
)
from unmask.geometry.landmarks import MIRROR, eye_centres, mirrored


def points(seed: int = 0) -> np.ndarray:
    return Sampled(3, seed, 128).read().landmarks


def turned(landmarks: np.ndarray, angle: float, zoom: float, shift: tuple[float, float]):
    c, s = zoom * np.cos(angle), zoom * np.sin(angle)
    return (landmarks @ np.array([[c, s], [-s, c]]) + shift).astype(np.float32)


@given(
    angle=st.floats(-3, 3),
    zoom=st.floats(0.2, 20),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
    size=st.sampled_from([64, 128, 192, 256]),
)
def test_eyes_come_level_to_their_place_from_any_pose(angle, zoom, x, y, size):
    landmarks = turned(points(), angle, zoom, (x, y))
    left, right = eye_centres(move_points(landmarks, canonical_transform(landmarks, size)))
    # coordinates name pixel centres, so that the frame spans -0.5 to size - 0.5
    expected = (np.array([0.5 - EYE_DISTANCE / 2, EYE_HEIGHT]) * size) - 0.5
    np.testing.assert_allclose(left, expected, atol=0.02)
    np.testing.assert_allclose(right - left, [EYE_DISTANCE * size, 0], atol=0.02)


@given(angle=st.floats(-3, 3), zoom=st.floats(0.2, 20))
def test_the_scale_is_source_pixels_per_frame_pixel_and_the_inverse_undoes(angle, zoom):
    landmarks = turned(points(), angle, zoom, (20, 30))
    transform = canonical_transform(landmarks, 64)
    left, right = eye_centres(landmarks)
    np.testing.assert_allclose(
        scale_of(transform), np.linalg.norm(right - left) / (EYE_DISTANCE * 64), rtol=1e-4
    )
    there = move_points(landmarks, transform)
    np.testing.assert_allclose(move_points(there, invert(transform)), landmarks, atol=2e-2)


def test_a_turned_head_is_framed_as_large_as_one_that_looks_straight():
    straight, height = points(), []
    for width in (1.0, 0.8, 0.6, 0.3):  # of the eyes' distance, as a head turns
        slim = straight * np.float32([width, 1])
        seen = move_points(slim, canonical_transform(slim, 128))
        left, right = eye_centres(seen)
        assert right[0] - left[0] <= EYE_DISTANCE * 128 + 0.02
        np.testing.assert_allclose((left + right) / 2, [63.5, EYE_HEIGHT * 128 - 0.5], atol=0.05)
        height.append(float(seen[8, 1] - seen[27, 1]))
    assert height[0] <= height[1] <= height[2]
    assert height[3] == pytest.approx(height[2], rel=0.02)
    assert height[3] < 1.35 * height[0]


def test_eyes_at_one_point_are_refused():
    with pytest.raises(ValueError, match="eye landmarks coincide"):
        canonical_transform(np.full((68, 2), 7, np.float32), 64)


@pytest.mark.parametrize("zoom", [0.31, 0.5, 1.0, 1.7])
def test_a_spot_moves_where_the_transform_says(zoom):
    at = np.array([60.0, 75.0])
    y, x = np.mgrid[:160, :160]
    spot = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 5.0**2))
    transform = cv2.getRotationMatrix2D((80, 80), 20, zoom)
    moved = warp(spot.astype(np.float32), transform, (160, 160), cv2.BORDER_CONSTANT)
    rows, columns = np.mgrid[:160, :160]
    centre = np.array([(columns * moved).sum(), (rows * moved).sum()]) / moved.sum()
    np.testing.assert_allclose(centre, move_points(at[None], transform)[0], atol=0.06)


def test_shrinking_averages_in_place_of_picking_pixels():
    checks = np.indices((256, 256)).sum(0) % 2 * 255
    small = warp(checks.astype(np.uint8), np.array([[0.25, 0, 0], [0, 0.25, 0]]), (64, 64))
    assert np.abs(small[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_the_identity_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp(image, np.eye(2, 3), (30, 20)), image)
    assert shown(np.ones((20, 30), bool), np.eye(2, 3), (30, 20)).all()


def test_shown_marks_exactly_the_pixels_inside_the_picture():
    inside = shown(np.ones((10, 8), bool), np.array([[1.0, 0, 3], [0, 1, 2]]), (16, 14))
    expected = np.zeros((14, 16), bool)
    expected[2:12, 3:11] = True
    np.testing.assert_array_equal(inside, expected)


def test_mirroring_twice_is_nothing_and_eyes_change_sides():
    landmarks = points()
    np.testing.assert_allclose(mirrored(mirrored(landmarks, 128), 128), landmarks, atol=1e-4)
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
    left, right = eye_centres(landmarks)
    new_left, new_right = eye_centres(mirrored(landmarks, 128))
    np.testing.assert_allclose(new_left, [127 - right[0], right[1]], atol=1e-4)
    np.testing.assert_allclose(new_right, [127 - left[0], left[1]], atol=1e-4)


def test_framing_marks_what_a_tight_picture_does_not_show():
    face = Sampled(3, 0, 128).read()
    tight = Face(
        image=face.image[30:110, 25:105],
        landmarks=face.landmarks - [25, 30],
        gender=None,
        valid=np.ones((80, 80), bool),
        split="train",
        source="folder",
        id="folder/a",
        scale=2.0,
    )
    again = framed(tight, 64)
    assert again.image.shape == (64, 64, 3)
    assert 0.3 < again.valid.mean() < 0.45  # 80 x 80 of 128 x 128
    assert not again.valid[0].any()
    assert not again.valid[:, -1].any()
    assert again.valid[32, 32]
    assert again.scale == pytest.approx(4.0, rel=0.1)
    whole = framed(face, 64)
    seen = again.valid & whole.valid
    gap = np.abs(again.image[seen].astype(int) - whole.image[seen])
    assert gap.mean() < 2


def test_what_the_source_calls_invalid_stays_invalid():
    face = Sampled(3, 1, 128).read()
    face.valid[:, :64] = False
    valid = framed(face, 64).valid
    assert not valid[10:54, :28].any()
    assert valid[10:54, 36:60].all()
