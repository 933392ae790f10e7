import dataclasses

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt

from unmask.data.holes import holed, holed_unchanged


def drawn(split, face: int, seeds: range) -> list[dict]:
    return [holed(split, face, 0, np.random.default_rng(seed), 4) for seed in seeds]


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
    for sample in drawn(both, 0, range(30)):
        inner = binary_erosion(sample["valid"])
        np.testing.assert_array_equal(sample["masked"][inner], sample["image"][inner])
        black, hole = (sample["image"].max(axis=2) < 128) & sample["valid"], sample["hole"]
        overlaps.append((black & hole).sum() / black.sum())
        assert distance_transform_edt(~black)[hole & sample["valid"]].max() < 9
    assert np.mean(overlaps) > 0.93
    assert min(overlaps) > 0.75


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


def test_enlarged_faces_are_not_sharp(split):
    assert [drawn(split, face, range(1))[0]["sharp"] for face in range(3)] == [1, 1, 0]


def test_z_is_now_and_then_told_the_truth(split):
    samples = drawn(split, 0, range(300))
    assert 0.15 < np.mean([sample["told"] for sample in samples]) < 0.35
    chance = np.stack([sample["drawn"] for sample in samples])
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
    sample = holed_unchanged(split, 1, 1, None)
    np.testing.assert_array_equal(sample["image"], split.image[1])
    np.testing.assert_array_equal(sample["masked"], split.masked[1, 1])
    mask = split.mask[1, 1]
    assert (sample["hole"] >= mask).all()
    assert sample["hole"].sum() > mask.sum()
    assert distance_transform_edt(~mask)[sample["hole"]].max() <= 1.5
    assert sample["gender"] == -1
    assert np.isnan(holed_unchanged(split, 2, 0, None)["gender"])
