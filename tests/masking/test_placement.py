from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unmask.masking import (
    DEFECTS,
    FABRICS,
    MASK_TYPES,
    OCCLUDERS,
    WEARS,
    MaskPlacementError,
    put_on,
)
from unmask.masking.pose import pose_of
from unmask.masking.render import shadow_reach
from unmask.masking.shapes import SHAPES

EVEN = {
    "types": dict.fromkeys(MASK_TYPES, 1.0),
    "fabrics": dict.fromkeys(FABRICS, 1.0),
    "wear": dict.fromkeys(WEARS, 1.0),
}
FAULTY = {"defects": dict.fromkeys(DEFECTS, 0.4), "occluders": dict.fromkeys(OCCLUDERS, 0.2)}
a_face = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def masked(face, seed=0, **changes):
    image, landmarks = face
    return put_on(image, landmarks, np.random.default_rng(seed), **(EVEN | changes))


@pytest.mark.parametrize("wear", WEARS)
@pytest.mark.parametrize("fabric", FABRICS)
@pytest.mark.parametrize("mask_type", MASK_TYPES)
def test_every_combination_renders(face, mask_type, fabric, wear):
    result = masked(face(), types={mask_type: 1}, fabrics={fabric: 1}, wear={wear: 1})
    assert (result.mask_type, result.fabric, result.wear) == (mask_type, fabric, wear)
    assert result.image.shape == (128, 128, 3)
    assert result.image.dtype == np.uint8
    assert result.mask.shape == (128, 128)
    assert result.mask.dtype == bool
    assert (0.02 if mask_type == "shield" else 0.05) < result.mask.mean() < 0.65


@a_face
@given(
    seed=st.integers(0, 2**32 - 1),
    yaw=st.floats(-75, 75),
    size=st.integers(64, 256),
    extra=st.sampled_from([{}, FAULTY]),
)
def test_only_mask_and_shadow_change(face, seed, yaw, size, extra):
    image, landmarks = face(size, yaw)
    before = image.copy()
    result = masked((image, landmarks), seed, **extra)
    assert (image == before).all()
    image = np.where(result.occluder[:, :, None], result.image, image)
    reach = shadow_reach(pose_of(landmarks))
    near = cv2.dilate(result.mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    assert (result.image == image)[near == 0].all()
    changed = (result.image != image).any(axis=2)
    assert changed[result.mask].mean() > 0.95


@a_face
@given(seed=st.integers(0, 2**32 - 1))
def test_same_seed_same_bytes(face, seed):
    first, second = (masked(face(), seed, **FAULTY) for _ in range(2))
    for field in ("image", "mask", "occluder"):
        assert getattr(first, field).tobytes() == getattr(second, field).tobytes()


def test_masks_differ_from_draw_to_draw(face):
    results = [masked(face(), seed).image.tobytes() for seed in range(20)]
    assert len(set(results)) == 20


@pytest.mark.parametrize("kind", ["types", "fabrics", "wear"])
def test_unknown_name(face, kind):
    with pytest.raises(ValueError, match=r"unknown .* 'tinfoil'"):
        masked(face(), **{kind: {"tinfoil": 1}})


@pytest.mark.parametrize("weights", [{}, {"surgical": 0}, {"surgical": -1}, {"kn95": np.nan}])
def test_weights_that_allow_nothing(face, weights):
    with pytest.raises(ValueError, match="weight"):
        masked(face(), types=weights)


def test_zero_weight_is_never_drawn(face):
    types = {"surgical": 0.0, "kn95": 1.0}
    assert {masked(face(), seed, types=types).mask_type for seed in range(10)} == {"kn95"}


def test_padding_is_left_alone(face):
    image, landmarks = face()
    valid = np.ones(image.shape[:2], bool)
    valid[100:], valid[:, 80:] = False, False
    for seed in range(5):
        result = masked((image, landmarks), seed, valid=valid, **FAULTY)
        assert not (result.mask | result.occluder)[~valid].any()
        assert (result.image == image)[~valid].all()


@pytest.mark.parametrize("wear", WEARS)
def test_mouth_is_covered_and_eyes_are_not(face, wear):
    image, landmarks = face()
    opaque = {name: float(SHAPES[name].pane is None) for name in MASK_TYPES}
    for seed in range(30):
        mask = masked((image, landmarks), seed, types=opaque, wear={wear: 1}).mask
        x, y = np.round(landmarks).astype(int).T
        assert mask[y[48:], x[48:]].all()
        assert not mask[y[36:48], x[36:48]].any()
        assert mask[y[30], x[30]] == (wear == "proper") or wear == "slipped"


@pytest.mark.parametrize("size", [64, 96, 128, 200, 256])
def test_mask_scales_with_the_face(face, size):
    share = masked(face(size), 3, types={"kn95": 1}).mask.mean()
    assert share == pytest.approx(masked(face(128), 3, types={"kn95": 1}).mask.mean(), abs=0.02)


def test_mask_turns_with_the_face(face):
    def centre(yaw):
        _, landmarks = pair = face(128, yaw)
        mask = masked(pair, 5, types={"n95_cup": 1}, wear={"proper": 1}).mask
        jaw = landmarks[[2, 14], 0].mean()
        return np.nonzero(mask)[1].mean() - jaw

    assert centre(-25) < centre(0) - 1 < centre(25) - 2


def test_light_of_the_face_falls_on_the_mask(face):
    image, landmarks = face()
    result = masked((image, landmarks), 1, types={"surgical": 1}, fabrics={"plain": 1})
    luma = result.image.mean(axis=2)
    left, right = result.mask.copy(), result.mask.copy()
    left[:, 60:], right[:, :68] = False, False
    assert luma[right].mean() > luma[left].mean() + 5


def test_a_photo_without_colour_gets_a_mask_without(face):
    image, landmarks = face()
    grey = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    result = masked((grey, landmarks), types={"cloth": 1}, fabrics={"floral": 1})
    assert np.ptp(result.image.astype(int), axis=2).max() <= 2


def test_pale_straps_leave_no_halo_around_a_dark_mask(face):
    image, landmarks = face()
    image[:] = image.mean(axis=(0, 1)).astype(np.uint8)
    for seed in range(20):
        result = masked((image, landmarks), seed, types={"gaiter": 1}, fabrics={"plain": 1})
        rim = result.mask & ~cv2.erode(result.mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
        brightest = max(int(image.max()), int(result.image[result.mask & ~rim].max()))
        assert result.image[rim].max() <= brightest + 8


def test_no_mask_fits_a_face_in_pieces(face):
    image, landmarks = face()
    landmarks[48:68] = landmarks[0]
    with pytest.raises(MaskPlacementError, match="no mask fits this face"):
        masked((image, landmarks))


def test_mouth_outside_the_image(face):
    image, landmarks = face()
    with pytest.raises(MaskPlacementError, match="outside the image"):
        masked((image, landmarks + np.array([0, 60])))


@a_face
@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0, 60))
def test_nonsense_landmarks_are_refused_or_masked(face, seed, spread):
    image, landmarks = face()
    shaken = landmarks + np.random.default_rng(seed).normal(0, spread, (68, 2))
    try:
        answer = masked((image, shaken), seed).mask.any()
    except ValueError as error:
        answer = str(error)
    assert answer


def test_arrays_of_another_shape(face):
    image, landmarks = face()
    for bad in [(image[..., 0], landmarks), (image, landmarks[:5]), (image / 255, landmarks)]:
        with pytest.raises(ValueError, match="not"):
            masked(bad)
    with pytest.raises(ValueError, match="valid"):
        masked((image, landmarks), valid=np.ones((3, 3), bool))


@a_face
@given(seed=st.integers(0, 2**32 - 1), yaw=st.floats(-25, 25))
def test_mirrored_faces_wear_masks_too(face, mirrored, seed, yaw):
    image, landmarks = face(128, yaw)
    flipped = image[:, ::-1].copy(), mirrored(landmarks, 128)
    assert masked(flipped, seed).yaw == pytest.approx(-masked((image, landmarks), seed).yaw, abs=1)
