import dataclasses
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from unmask.augmentation import views
from unmask.config.augment import (
    AlignedViews,
    Augment,
    Camera,
    Geometry,
    LooseViews,
    Print,
    SurroundedViews,
)
from unmask.geometry.landmarks import eye_centres

AUGMENT = Augment()
SEEN = {"size": 64, "photometric": 0.25}
aligned = partial(views.aligned_view, **SEEN, augment=AUGMENT.gender)
loose = partial(views.loose_view, **SEEN, augment=AUGMENT.landmarks)
surrounded = partial(views.surrounded_view, **SEEN, augment=AUGMENT.segmentation)
plain = partial(views.plain_view, size=64)


def eyes_apart(landmarks: np.ndarray) -> float:
    left, right = eye_centres(landmarks)
    return float(np.hypot(*(right - left)))


@pytest.mark.parametrize("sample", [aligned, loose, surrounded, plain])
def test_every_view_has_the_same_kinds_of_array(split, sample):
    for seed in range(6):
        made = sample(split, 1, 1, np.random.default_rng(seed))
        assert made["image"].shape == (64, 64, 3)
        assert made["image"].dtype == np.uint8
        assert made["mask"].shape == (64, 64)
        assert made["mask"].dtype == bool
        assert made["mask"].any() or sample is not plain
        assert made["landmarks"].shape == (68, 2)
        assert made["landmarks"].dtype == np.float32
        assert made["gender"] == 0


@pytest.mark.parametrize("sample", [aligned, loose, surrounded])
def test_a_view_follows_its_generator(split, sample):
    one, two, other = (sample(split, 0, 0, np.random.default_rng(seed)) for seed in (5, 5, 6))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert (one["image"] != other["image"]).any()


@pytest.mark.parametrize("sample", [aligned, loose, surrounded])
def test_the_mask_stays_over_the_mouth(split, sample):
    for seed in range(20):
        made = sample(split, 0, 0, np.random.default_rng(seed))
        column, row = np.rint(made["landmarks"][62]).astype(int)
        if made["mask"].any() and 0 <= column < 64 and 0 <= row < 64:
            assert made["mask"][row, column]
        left, right = eye_centres(made["landmarks"])
        assert left[0] < right[0]  # mirrored views change the names of the eyes too


def test_picture_and_mask_are_cut_alike(split):
    masked = split.masked.copy()
    masked[0, 0] = np.where(split.mask[0, 0][..., None], 255, 0)
    painted = dataclasses.replace(split, masked=masked, image=np.zeros_like(split.image))
    for seed in range(20):
        made = aligned(painted, 0, 0, np.random.default_rng(seed))
        if not made["mask"].any():
            assert np.median(made["image"]) < 60  # no bright mask on a face called bare
            continue
        bright = made["image"].mean(axis=2)
        near = distance_transform_edt(~made["mask"])  # further out lies what surrounds the crop
        ring = (near > 2) & (near < 8)
        assert np.median(bright[made["mask"]]) - np.median(bright[ring]) > 90


def test_loose_framing_varies_far_more_than_aligned_views(split):
    def zooms(sample) -> np.ndarray:
        made = [sample(split, 0, 0, np.random.default_rng(seed)) for seed in range(80)]
        apart = np.array([eyes_apart(one["landmarks"]) for one in made])
        return apart / eyes_apart(split.landmarks[0])

    near, far = zooms(aligned), zooms(loose)
    assert near.min() > 0.84
    assert near.max() < 1.19
    assert far.min() < 0.7
    assert far.max() > 1.25


@pytest.mark.parametrize("sample", [aligned, surrounded])
def test_some_faces_are_shown_bare_so_that_a_mask_is_not_always_found(sample, split):
    made = [sample(split, 0, 0, np.random.default_rng(seed)) for seed in range(300)]
    assert 0.06 < np.mean([not one["mask"].any() for one in made]) < 0.2


def test_surroundings_are_of_another_picture_and_never_mask(split):
    valid = split.valid.copy()
    valid[:, :, :24] = False
    flat = [np.full_like(split.image[:1], level) for level in (40, 90, 140)]
    half = dataclasses.replace(split, valid=valid, image=np.concatenate(flat))
    mask = np.zeros_like(split.mask)
    mask[:, :, 30:60, 30:60] = True
    masked = np.full_like(split.masked, 255)
    half = dataclasses.replace(half, mask=mask, masked=masked)
    count = 0
    for seed in range(40):
        made = surrounded(half, 0, 0, np.random.default_rng(seed))
        corner = made["image"].mean(axis=2)[~made["mask"]]
        count += bool((corner < 200).mean() > 0.2)
        assert made["mask"].sum() <= 30 * 30 * 1.18**2 * 1.1
    assert count > 35


def test_what_is_before_a_face_without_a_mask_is_none_either(split):
    bare = SurroundedViews(bare=1.0)
    before = SurroundedViews(bare=1.0, occluders={"hand": 1.0, "scarf": 1.0})
    changed = 0.0
    for seed in range(12):
        one, other = (
            surrounded(split, 0, 0, np.random.default_rng(seed), augment=augment)
            for augment in (bare, before)
        )
        assert not one["mask"].any()
        assert not other["mask"].any()
        changed += (one["image"] != other["image"]).any(axis=2).mean() / 12
    assert changed > 0.2


@pytest.mark.parametrize(
    ("sample", "augment"),
    [
        (aligned, AlignedViews(bare=1.0)),
        (aligned, AlignedViews(aligned=Geometry(scale=(2.0, 2.0), roll=0.0, shift=0.0))),
        (aligned, AlignedViews(camera=Camera(grey=1.0))),
        (loose, LooseViews(loose=Geometry(scale=(3.0, 3.0), roll=0.0, shift=0.0))),
        (loose, LooseViews(lying=1.0)),
        (loose, LooseViews(slim=1.0, narrowest=0.3)),
        (surrounded, SurroundedViews(surrounded=Geometry(scale=(3.0, 3.0), roll=0.0, shift=0.0))),
        (surrounded, SurroundedViews(part=(0.1, 0.2))),
        (surrounded, SurroundedViews(print=Print(chance=1.0, opacity=(1.0, 1.0)))),
    ],
)
def test_chances_and_ranges_are_settings(split, sample, augment):
    def images(**given) -> np.ndarray:
        rngs = (np.random.default_rng(seed) for seed in range(12))
        return np.stack([sample(split, 0, 0, rng, **given)["image"] for rng in rngs])

    assert (images() != images(augment=augment)).any()
    np.testing.assert_array_equal(images(augment=augment), images(augment=augment))


def test_the_plain_view_is_the_stored_one(split):
    made = plain(split, 2, 1, None)
    np.testing.assert_array_equal(made["image"], split.masked[2, 1])
    np.testing.assert_array_equal(made["mask"], split.mask[2, 1])
    np.testing.assert_array_equal(made["landmarks"], split.landmarks[2])
    assert np.isnan(made["gender"])
