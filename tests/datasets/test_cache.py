import errno

import numpy as np
import pytest

from unmask.datasets import cache as cache_module
from unmask.datasets.cache import open_split
from unmask.datasets.png import encode_image
from unmask.datasets.shards import MASKED_SCHEMA, new_shards
from unmask.errors import UnmaskError
from unmask.faces.dataset import row_of
from unmask.faces.records import Face

SIDE = 8


def face(index: int) -> Face:
    rng = np.random.default_rng(index)
    return Face(
        image=rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        landmarks=rng.random((68, 2), np.float32) * SIDE,
        gender=("male", "female", None)[index % 3],
        valid=rng.random((SIDE, SIDE)) < 0.8,
        split="train",
        source="folder",
        id=f"folder/{index}",
        age=index,
    )


def worn(index: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([index, variant])
    masked = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return masked, rng.random((SIDE, SIDE)) < 0.3


def occluded(index: int, variant: int) -> np.ndarray:
    return np.random.default_rng([index, variant, 1]).random((SIDE, SIDE)) < 0.2


def write(folder, count: int) -> None:
    with new_shards(folder, MASKED_SCHEMA, shard_rows=2) as shards:
        for index in range(count):
            variants = [
                {
                    "masked": encode_image(worn(index, variant)[0]),
                    "mask": encode_image(worn(index, variant)[1]),
                    "occluded": encode_image(occluded(index, variant)),
                    "mask_type": "surgical",
                    "fabric": "plain",
                    "wear": "proper",
                    "yaw": float(variant),
                }
                for variant in range(2)
            ]
            shards.add({**row_of(face(index)), "variants": variants})


def test_the_arrays_are_the_rows(tmp_path):
    write(tmp_path / "masked", 5)
    split = open_split(tmp_path / "masked", "train", tmp_path / "cache")
    assert (len(split), split.size, split.variants) == (5, SIDE, 2)
    for index in range(5):
        true = face(index)
        np.testing.assert_array_equal(split.image[index], true.image)
        np.testing.assert_array_equal(split.valid[index], true.valid)
        np.testing.assert_array_equal(split.landmarks[index], true.landmarks)
        for variant in range(2):
            masked, mask = worn(index, variant)
            np.testing.assert_array_equal(split.masked[index, variant], masked)
            np.testing.assert_array_equal(split.mask[index, variant], mask)
            np.testing.assert_array_equal(split.occluded[index, variant], occluded(index, variant))
            assert split.labels[index]["variants"][variant]["yaw"] == variant
        assert (split.labels[index]["id"], split.labels[index]["age"]) == (true.id, index)
    genders = [split.gender(index) for index in range(3)]
    assert genders[:2] == [1, 0]
    assert np.isnan(genders[2])


def test_arrays_are_derived_once_and_anew_for_other_data(tmp_path, monkeypatch):
    write(tmp_path / "masked", 3)
    first = open_split(tmp_path / "masked", "train", tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_fill", lambda *_: pytest.fail("derived again"))
        again = open_split(tmp_path / "masked", "train", tmp_path / "cache")
    assert again.digest == first.digest
    assert again.labels == first.labels
    write(tmp_path / "masked", 4)
    other = open_split(tmp_path / "masked", "train", tmp_path / "cache")
    assert len(other) == 4
    assert other.digest != first.digest


def test_a_derivation_that_failed_is_never_taken_for_whole(tmp_path, monkeypatch):
    write(tmp_path / "masked", 3)

    def half(folder, shards) -> None:
        np.save(folder / "image.npy", np.zeros(3))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_fill", half)
        with pytest.raises(OSError, match="No space"):
            open_split(tmp_path / "masked", "train", tmp_path / "cache")
    split = open_split(tmp_path / "masked", "train", tmp_path / "cache")
    np.testing.assert_array_equal(split.image[2], face(2).image)


def test_a_failed_derivation_gives_its_disk_space_back(tmp_path, monkeypatch):
    write(tmp_path / "masked", 3)

    def half(folder, shards) -> None:
        np.save(folder / "image.npy", np.zeros(3))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module, "_fill", half)
    with pytest.raises(OSError, match="No space"):
        open_split(tmp_path / "masked", "train", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_a_split_without_faces_is_named(tmp_path):
    write(tmp_path / "masked", 1)
    with pytest.raises(UnmaskError, match=r"masked has no faces in the split 'val'"):
        open_split(tmp_path / "masked", "val", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
