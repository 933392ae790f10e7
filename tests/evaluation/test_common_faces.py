import numpy as np
import pytest

from unmask.datasets.cache import open_split
from unmask.evaluation.common_faces import COMMON, with_common_faces
from unmask.evaluation.evaluation_set import EvaluationSet, select_faces
from unmask.evaluation.slices import groups_of
from unmask.geometry.landmarks import MOUTH


@pytest.fixture
def own(masked, tmp_path) -> EvaluationSet:
    return select_faces(open_split(masked, "train", tmp_path), 3)


def test_common_faces_follow_the_project_s_own_and_are_the_same_everywhere(own):
    both, again = with_common_faces(own, 5), with_common_faces(own, 5)
    added = len(both) - len(own)
    assert 3 <= added <= 5
    for name in ("images", "masked", "valid", "masks", "landmarks", "gender"):
        values = getattr(both, name)
        assert len(values) == len(both), name
        assert values.dtype == getattr(own, name).dtype, name
        np.testing.assert_array_equal(values[: len(own)], getattr(own, name))
        np.testing.assert_array_equal(values, getattr(again, name))
    assert [label["source"] for label in both.labels[len(own) :]] == [COMMON] * added
    assert len(groups_of(both)[f"source={COMMON}"]) == added


def test_a_common_face_differs_from_its_picture_without_a_mask_where_the_mask_is(own):
    both = with_common_faces(own, 3)
    for index in range(len(own), len(both)):
        mask, mouth = both.masks[index], both.landmarks[index][MOUTH].mean(axis=0)
        column, row = np.rint(mouth).astype(int)
        assert mask[row, column]
        changed = (both.images[index] != both.masked[index]).any(axis=2)
        assert changed[mask].mean() > 0.9


def test_without_any_the_project_s_own_are_all(own):
    assert with_common_faces(own, 0) is own
