import dataclasses

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from unmask.augmentation.holes import inpainting_view, plain_inpainting_view
from unmask.config.augment import (
    Degradation,
    Geometry,
    InpaintingViews,
    PhotoStyle,
    PredictedGender,
    PredictedMask,
)

AUGMENT = InpaintingViews()
SHARP = InpaintingViews(degradation=Degradation(chance=0.0))  # no photo loses detail


def drawn(split, face: int, seeds: range, augment: InpaintingViews = AUGMENT) -> list[dict]:
    return [
        inpainting_view(
            split, face, 0, np.random.default_rng(seed), size=64, latent=4, augment=augment
        )
        for seed in seeds
    ]


def test_a_sample_is_the_true_face_with_a_hole(split):
    for sample in drawn(split, 0, range(8)):
        assert sample["image"].shape == (64, 64, 3)
        assert sample["image"].dtype == np.uint8
        assert sample["hole"].shape == sample["valid"].shape == (64, 64)
        assert sample["hole"].dtype == sample["valid"].dtype == bool
        assert sample["gender"].dtype == np.float32
        assert sample["masked"].shape == (64, 64, 3)
        ratio = (sample["hole"] & sample["valid"]).mean() / split.mask[0, 0].mean()
        assert 0.5 < ratio < 1.8


def test_the_same_generator_gives_the_same_sample(split):
    one, two = (drawn(split, 0, range(3, 4))[0] for _ in range(2))
    other = drawn(split, 0, range(4, 5))[0]
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert (one["image"] != other["image"]).any()


def test_hole_masked_picture_and_truth_move_together(split):
    """A face whose mask is black keeps its hole on the black, but for a guess's small errors."""
    painted = np.where(split.mask[0, 0][..., None], 0, 255).astype(np.uint8)
    masked, image = split.masked.copy(), split.image.copy()
    masked[0, 0] = image[0] = painted
    both = dataclasses.replace(split, masked=masked, image=image)
    overlaps = []
    for sample in drawn(both, 0, range(40), SHARP):  # a strap may be lost with the detail
        inner = binary_erosion(sample["valid"])
        np.testing.assert_array_equal(sample["masked"][inner], sample["image"][inner])
        bright = sample["image"].max(axis=2)
        black, hole = (bright < bright.max() / 2) & sample["valid"], sample["hole"]
        overlaps.append((black & hole).sum() / black.sum())
        assert distance_transform_edt(~black)[hole & sample["valid"]].max() < 10
    assert np.mean(overlaps) > 0.93
    assert min(overlaps) > 0.75


def test_what_lies_before_the_mask_is_not_learned_nor_part_of_the_hole(split):
    occluded = split.occluded.copy()
    occluded[0, 0, 40:, 20:40] = True
    mask = split.mask & ~occluded
    sample = drawn(dataclasses.replace(split, occluded=occluded, mask=mask), 0, range(1), SHARP)[0]
    clear = drawn(dataclasses.replace(split, mask=mask), 0, range(1), SHARP)[0]
    assert 0.03 < clear["valid"].mean() - sample["valid"].mean() < 0.15
    hidden = ~sample["valid"] & sample["hole"]
    assert hidden.mean() < 0.12  # the frame's border and the hole's rim, no more


def test_masked_picture_and_truth_change_alike_outside_the_mask(split):
    for sample in drawn(split, 1, range(60), SHARP):
        away = distance_transform_edt(~sample["hole"]) > 8  # but for the mask's shadow
        off = np.abs(sample["masked"].astype(int) - sample["image"])[away & sample["valid"]]
        assert np.median(off) <= 1


def test_black_and_white_and_sepia_faces_are_so_in_truth_and_picture_alike(split):
    kinds = set()
    for sample in drawn(split, 0, range(60)):
        grey = [(np.ptp(sample[name], axis=2) <= 1).all() for name in ("image", "masked")]
        assert grey[0] == grey[1]
        kinds.add(bool(grey[0]))
    assert kinds == {True, False}


def test_one_photo_in_eight_loses_detail_in_picture_and_truth_alike(split):
    some, none = drawn(split, 0, range(200)), drawn(split, 0, range(200), SHARP)
    degraded = [
        [(one[name] != other[name]).any() for name in ("image", "masked")]
        for one, other in zip(some, none, strict=True)
    ]
    assert all(truth == picture for truth, picture in degraded)
    assert 0.05 < np.mean(degraded) < 0.2


def test_a_smaller_view_shows_the_same_and_more_detail_a_pixel(split):
    large = plain_inpainting_view(split, 0, 0, None, size=64)
    small = plain_inpainting_view(split, 0, 0, None, size=32)
    assert small["image"].shape == (32, 32, 3)
    shrunk = large["image"].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(small["image"] - shrunk).max() <= 1
    assert small["hole"].mean() == pytest.approx(large["hole"].mean(), rel=0.25)
    assert small["sharp"] == 1
    assert plain_inpainting_view(split, 2, 0, None, size=32)["sharp"] == 1  # enlarged at 64


def test_genders_are_signed_now_and_then_unsure_and_one_in_ten_is_hidden(split):
    for face, sign in ((0, 1), (1, -1)):
        genders = np.array([sample["gender"] for sample in drawn(split, face, range(300))])
        assert 0.04 < np.isnan(genders).mean() < 0.18
        known = sign * genders[~np.isnan(genders)]
        assert 0.45 < (known == 1).mean() < 0.75
        assert known.max() <= 1
        assert known.min() >= -0.2 - 1e-6
        assert 0 < (known < 0).mean() < 0.2
    assert all(np.isnan(sample["gender"]) for sample in drawn(split, 2, range(10)))


@pytest.mark.parametrize(
    ("augment", "name"),
    [
        (InpaintingViews(geometry=Geometry(scale=(2.0, 2.0), roll=0.0, shift=0.0)), "image"),
        (InpaintingViews(mask=PredictedMask(growth=(0.1, 0.1))), "hole"),
        (InpaintingViews(gender=PredictedGender(unknown=1.0)), "gender"),
        (InpaintingViews(posterior=1.0), "use_posterior"),
        (InpaintingViews(style=PhotoStyle(chance=1.0)), "masked"),
        (InpaintingViews(degradation=Degradation(chance=1.0)), "image"),
    ],
)
def test_chances_and_ranges_are_settings(split, augment, name):
    before, after = (
        np.stack([sample[name] for sample in drawn(split, 0, range(12), settings)])
        for settings in (AUGMENT, augment)
    )
    assert (before != after).any()


def test_enlarged_faces_are_not_sharp(split):
    assert [plain_inpainting_view(split, face, 0, None, size=64)["sharp"] for face in range(3)] == [
        1,
        1,
        0,
    ]


def test_z_is_told_half_the_truths(split):
    samples = drawn(split, 0, range(300))
    assert 0.4 < np.mean([sample["use_posterior"] for sample in samples]) < 0.6
    chance = np.stack([sample["noise"] for sample in samples])
    assert chance.shape == (300, 4)
    assert chance.dtype == np.float32
    assert abs(chance.mean()) < 0.1
    assert 0.9 < chance.std() < 1.1


def test_what_is_not_shown_is_not_valid_and_part_of_the_hole(split):
    valid = split.valid.copy()
    valid[0, :, :32] = False
    half = dataclasses.replace(split, valid=valid)
    sides = set()
    for sample in drawn(half, 0, range(12)):
        left, right = sample["valid"][:, :26].mean(), sample["valid"][:, 38:].mean()
        assert min(left, right) < 0.05
        assert max(left, right) > 0.5
        assert sample["hole"][~sample["valid"]].all()
        sides.add(left > right)
    assert sides == {True, False}  # some views are mirrored


def test_the_validation_sample_is_the_face_with_its_mask_a_little_grown(split):
    sample = plain_inpainting_view(split, 1, 1, None, size=64)
    np.testing.assert_array_equal(sample["image"], split.image[1])
    np.testing.assert_array_equal(sample["masked"], split.masked[1, 1])
    mask = split.mask[1, 1]
    assert (sample["hole"] >= mask).all()
    assert sample["hole"].sum() > mask.sum()
    assert distance_transform_edt(~mask)[sample["hole"]].max() <= 1.5
    assert sample["gender"] == -1
    assert np.isnan(plain_inpainting_view(split, 2, 0, None, size=64)["gender"])
