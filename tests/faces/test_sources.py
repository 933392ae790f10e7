import pickle
from typing import get_args

import numpy as np
import pytest

from unmask.config.params import Source
from unmask.datasets.splits import split_of
from unmask.faces.sources import READERS, Sampled, SourceError, items_of


def test_sampled_faces_are_a_pure_function_of_seed_index_and_size():
    source = Source(name="appearance_model", count=4)
    items = items_of(source, None, seed=7, size=64)
    assert len({item.id for item in items}) == 4
    for item in items:
        face, again = item.read(), pickle.loads(pickle.dumps(item)).read()
        np.testing.assert_array_equal(face.image, again.image)
        np.testing.assert_array_equal(face.landmarks, again.landmarks)
        assert face.image.shape == (64, 64, 3)
        assert face.valid.shape == (64, 64)
        assert face.split == split_of(face.id)
        assert face.scale == 1
        assert face.gender in ("male", "female")
    assert (items[0].read().image != items[1].read().image).any()
    assert (items[0].read().image != Sampled(8, 0, 64).read().image).any()


def test_more_faces_leave_the_first_ones_as_they_were():
    few = items_of(Source(name="appearance_model", count=3), None, seed=1, size=64)
    many = items_of(Source(name="appearance_model", count=9), None, seed=1, size=64)
    assert list(few) == list(many)[:3]


def test_a_count_takes_faces_evenly_spread_over_the_table(face_folder, tmp_path):
    face_folder(7)
    source = Source(name="folder", path="mine", count=3)
    items = items_of(source, tmp_path, seed=0, size=64)
    assert [item.id for item in items] == [f"folder/mine/{n:03d}.png" for n in (0, 2, 4)]
    for count in (7, 50, None):
        source = Source(name="folder", path="mine", count=count)
        assert len(items_of(source, tmp_path, seed=0, size=64)) == 7


def test_each_source_has_its_reader(face_folder, tmp_path):
    face_folder(1, "lfw", file="Tony_Blair/Tony_Blair_{:04d}.png".format)
    face_folder(
        1,
        "utkface",
        file="31_1_2_2017{}.png".format,
        change=lambda index, row: [row.pop(name) for name in ("age", "gender", "ethnicity")],
    )
    face_folder(1, "plain", file="x{}.png".format)
    (utk,) = items_of(Source(name="utkface", path="utkface"), tmp_path, 0, 64)
    assert (utk.age, utk.gender, utk.ethnicity) == (31, "female", "asian")
    (lfw,) = items_of(Source(name="lfw", path="lfw"), tmp_path, 0, 64)
    (plain,) = items_of(Source(name="folder", path="plain"), tmp_path, 0, 64)
    assert (lfw.source, lfw.identity) == ("lfw", "Tony_Blair")
    assert (plain.source, plain.identity) == ("folder", None)


def test_a_utkface_name_may_lack_the_ethnicity(face_folder, tmp_path):
    face_folder(
        1,
        "utkface",
        file="61_1_2017{:013d}.png".format,
        change=lambda index, row: [row.pop(name) for name in ("age", "gender", "ethnicity")],
    )
    (face,) = items_of(Source(name="utkface", path="utkface"), tmp_path, 0, 64)
    assert (face.age, face.gender, face.ethnicity) == (61, "female", None)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(SourceError, match="nowhere does not exist"):
        items_of(Source(name="folder", path="nowhere"), tmp_path, 0, 64)


def test_params_know_every_source():
    assert set(get_args(Source.model_fields["name"].annotation)) == {"appearance_model", *READERS}
