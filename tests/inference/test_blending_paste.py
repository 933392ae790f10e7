import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt

from unmask.config.restore import Blending
from unmask.geometry.frame import invert, move_points
from unmask.geometry.morphology import grown
from unmask.inference import blending
from unmask.inference.blending import frame_hole, picture_mask

SIDE, SETTINGS = 64, Blending()


class Whole:
    """What `paste_back` makes of a whole picture: the picture and its hole."""

    def __init__(self, picture: np.ndarray, pasted: blending.Pasted) -> None:
        self.picture, self.hole = picture.copy(), np.zeros(picture.shape[:2], bool)
        (self.picture[pasted.rows, pasted.columns],) = pasted.pictures
        self.hole[pasted.rows, pasted.columns] = pasted.hole


def paste_back(picture: np.ndarray, filled: np.ndarray, *args) -> Whole:
    return Whole(picture, blending.paste_back(picture, [filled], *args))


def similarity(angle: float, zoom: float, x: float, y: float) -> np.ndarray:
    """From picture to crop: the crop's middle shows the picture's point (x, y)."""
    matrix = cv2.getRotationMatrix2D((x, y), angle, zoom)
    matrix[:, 2] += (SIDE - 1) / 2 - np.array([x, y])
    return matrix


def likely_square(low: int = 20, high: int = 46) -> np.ndarray:
    probability = np.zeros((SIDE, SIDE), np.float32)
    probability[low:high, low:high] = 1
    return probability


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(
    seed=st.integers(0, 999),
    angle=st.floats(-180, 180),
    zoom=st.floats(0.08, 3),
    height=st.integers(16, 150),
    width=st.integers(16, 150),
    where=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_each_pixel_beyond_hole_and_band_is_the_one_given(seed, angle, zoom, height, width, where):
    picture = noise(seed, height, width)
    before = picture.copy()
    probability = cv2.GaussianBlur(noise(seed, SIDE, SIDE)[..., 0] / np.float32(255), (0, 0), 6)
    probability = ((probability - 0.5) * 20 + 0.5).clip(0, 1)
    transform = similarity(angle, zoom, where[0] * width, where[1] * height)
    pasted = paste_back(picture, 255 - noise(seed, SIDE, SIDE), probability, transform, SETTINGS)
    np.testing.assert_array_equal(picture, before)
    assert pasted.picture.shape == picture.shape
    assert pasted.picture.dtype == np.uint8
    changed = (pasted.picture != picture).any(axis=2)
    if not pasted.hole.any():
        assert not changed.any()
        return
    band = max(2, 0.02 * SIDE / zoom)  # pixels of the picture
    assert not changed[distance_transform_edt(~pasted.hole) > band].any()


@given(angle=st.floats(-180, 180), zoom=st.floats(0.15, 2), value=st.integers(0, 255))
def test_the_hole_is_filled_with_the_crop(angle, zoom, value):
    picture = np.full((140, 120, 3), 255 - value, np.uint8)
    filled = np.full((SIDE, SIDE, 3), value, np.uint8)
    transform = similarity(angle, zoom, 60, 70)
    pasted = paste_back(picture, filled, likely_square(), transform, SETTINGS)
    mask = picture_mask(likely_square(), transform, picture.shape, SETTINGS)
    assert pasted.hole.any()
    assert (pasted.picture[pasted.hole] == value).all()
    assert (pasted.hole >= mask).all() or zoom < 0.5  # what leaves the frame is not filled
    # the mask is the square, where the transform puts it
    square = np.array([[20, 20], [46, 20], [46, 46], [20, 46]], np.float64) - 0.5
    corners = move_points(square, invert(transform))
    area = cv2.contourArea(corners)
    visible = np.zeros((140, 120), np.uint8)
    cv2.fillConvexPoly(visible, np.rint(corners).astype(np.int32), 1)
    if visible.sum() > 200 and visible[1:-1, 1:-1].sum() == visible.sum():
        assert mask.sum() == pytest.approx(area, rel=0.15)
        assert (mask & ~grown(visible.astype(bool), 2)).sum() == 0


@given(
    angle=st.floats(0, 360), zoom=st.floats(0.3, 3), x=st.floats(-200, 320), y=st.floats(-200, 340)
)
def test_a_frame_may_lie_beside_the_picture(angle, zoom, x, y):
    picture = noise(0, 140, 120)
    filled = np.full((SIDE, SIDE, 3), 128, np.uint8)
    pasted = paste_back(picture, filled, likely_square(), similarity(angle, zoom, x, y), SETTINGS)
    assert pasted.picture.shape == picture.shape
    changed = (pasted.picture != picture).any(axis=2)
    assert not changed.any() or pasted.hole.any()


def test_the_hole_is_the_mask_a_few_pixels_wider():
    picture = noise(0, SIDE, SIDE)
    pasted = paste_back(picture, picture, likely_square(), np.eye(2, 3), SETTINGS)
    mask = picture_mask(likely_square(), np.eye(2, 3), picture.shape, SETTINGS)
    np.testing.assert_array_equal(mask, likely_square() > 0.5)
    assert (pasted.hole > mask).any()
    assert distance_transform_edt(~mask)[pasted.hole].max() <= 3


def test_a_finer_pixel_is_mask_from_the_coverage_on():
    probability = cv2.GaussianBlur(likely_square(), (0, 0), 3)
    finer = similarity(0, 0.25, 60, 60)
    areas = [
        picture_mask(probability, finer, (120, 120), settings).sum()
        for settings in (Blending(coverage=0.4), Blending(coverage=0.6), Blending(finer=5.0))
    ]
    assert areas[0] > areas[2] > areas[1]


def test_the_blend_fades_with_the_distance():
    picture = np.zeros((400, 400, 3), np.uint8)
    filled = np.full((SIDE, SIDE, 3), 200, np.uint8)
    zoom = SIDE / 400
    transform = np.array([[zoom, 0, zoom / 2 - 0.5], [0, zoom, zoom / 2 - 0.5]])
    pasted = paste_back(picture, filled, likely_square(), transform, SETTINGS)
    row = pasted.picture[200, :, 0].astype(int)
    inside = np.flatnonzero(pasted.hole[200])
    assert (row[inside] == 200).all()
    left = row[: inside[0] + 1]
    assert (np.diff(left) >= 0).all()
    assert ((left > 0) & (left < 200)).sum() >= 2


def test_a_crop_that_equals_the_picture_changes_nothing():
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)  # which has no grain to be matched
    picture = np.tile(ramp[:, None], (SIDE, 1, 3))
    pasted = paste_back(picture, picture, likely_square(), np.eye(2, 3), SETTINGS)
    np.testing.assert_array_equal(pasted.picture, picture)
    assert pasted.hole.any()


def test_no_mask_no_change():
    picture = noise(1, 90, 70)
    filled = 255 - noise(1, SIDE, SIDE)
    transform = similarity(10, 0.7, 35, 45)
    pasted = paste_back(picture, filled, np.zeros((SIDE, SIDE), np.float32), transform, SETTINGS)
    np.testing.assert_array_equal(pasted.picture, picture)
    assert not pasted.hole.any()


def test_nothing_is_written_beyond_the_frame():
    picture = np.zeros((200, 200, 3), np.uint8)
    filled = np.full((SIDE, SIDE, 3), 200, np.uint8)
    pasted = paste_back(
        picture, filled, np.ones((SIDE, SIDE), np.float32), similarity(0, 1, 99.5, 99.5), SETTINGS
    )
    changed = pasted.picture.any(axis=2)
    assert changed[70:130, 70:130].all()
    changed[68:132, 68:132] = False
    assert not changed.any()


@given(seed=st.integers(0, 999), side=st.sampled_from([64, 128, 256]))
def test_the_frames_hole_covers_the_likely_pixels_and_a_rim(seed, side):
    probability = np.random.default_rng(seed).random((side, side), np.float32) ** 30
    likely, hole = probability > 0.5, frame_hole(probability, SETTINGS.filled)
    assert (hole >= likely).all()
    distance = distance_transform_edt(~likely)
    radius = round(0.02 * side)
    assert (hole[distance <= radius * 0.9]).all()
    assert not hole[distance > radius * 1.2 + 0.5].any()


@given(seed=st.integers(0, 999), pixels=st.integers(0, 6))
def test_growing_is_a_disc(seed, pixels):
    mask = np.random.default_rng(seed).random((40, 40)) < 0.01
    bigger = grown(mask, pixels)
    assert (bigger >= mask).all()
    distance = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    assert not bigger[distance > pixels + 0.9].any()
    assert bigger[distance <= pixels * 0.85].all()


def test_a_hole_that_the_frame_cuts_off_fades_out_and_one_at_the_picture_s_border_does_not():
    probability = np.zeros((SIDE, SIDE), np.float32)
    probability[20:, 10:54] = 1
    filled = np.full((SIDE, SIDE, 3), 200, np.uint8)
    frame = np.array([[1.0, 0, 0], [0, 1, 0]])
    within = paste_back(
        np.full((SIDE, SIDE, 3), 100, np.uint8), filled, probability, frame, SETTINGS
    )
    assert (within.picture[-3:, 20:44] > 190).all()
    beyond = paste_back(
        np.full((2 * SIDE, SIDE, 3), 100, np.uint8), filled, probability, frame, SETTINGS
    )
    column = beyond.picture[SIDE - 6 : SIDE + 1, 32, 0].astype(int)
    assert (np.diff(column) <= 0).all()
    assert column[0] > 190
    assert 100 < column[-2] < 160
    assert column[-1] == 100


def test_strips_of_a_large_picture_join_without_a_seam(monkeypatch):
    picture = np.repeat(noise(0, 300, 260)[..., :1], 3, axis=2) // 2
    filled = cv2.GaussianBlur(noise(1, SIDE, SIDE), (0, 0), 2)
    transform, silent = similarity(20, 0.3, 130, 150), Blending(grain=0.0)
    whole = paste_back(picture, filled, likely_square(), transform, silent)
    monkeypatch.setattr(blending, "_strip_through", lambda hole: slice(0, len(hole)))
    monkeypatch.setattr(blending, "_MOST_PIXELS", 260 * 7)
    strips = paste_back(picture, filled, likely_square(), transform, silent)
    np.testing.assert_array_equal(strips.picture, whole.picture)
    np.testing.assert_array_equal(strips.hole, whole.hole)


def test_what_is_around_a_large_hole_is_measured_in_its_middle(monkeypatch):
    monkeypatch.setattr(blending, "_MOST_PIXELS", 90 * 20)
    hole = np.zeros((200, 90), bool)
    assert blending._strip_through(np.zeros((20, 90), bool)) == slice(0, 20)
    hole[100:140] = True
    assert blending._strip_through(hole) == slice(110, 130)
    hole[:] = False
    hole[195:] = True
    assert blending._strip_through(hole) == slice(180, 200)


@given(seed=st.integers(0, 99), pixels=st.integers(16, 24), sign=st.sampled_from([1, -1]))
def test_a_large_disc_is_one_by_distances(seed, pixels, sign):
    mask = cv2.GaussianBlur(np.random.default_rng(seed).random((90, 90)), (0, 0), 12) > 0.5
    changed = grown(mask, sign * pixels)
    outside, inside = (distance_transform_edt(~mask), distance_transform_edt(mask))
    wanted = outside <= pixels if sign > 0 else ~(inside <= pixels) & mask
    assert (changed != wanted).mean() < 0.005
