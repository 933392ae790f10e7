import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from unmask.metrics.coverage import mask_missed, replaced_beyond

PAIRS = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20).flatmap(
    lambda side: arrays(bool, (2, 3, *side), elements=st.booleans())
)


def test_hand_computed():
    true, replaced = np.zeros((2, 2, 6, 6), bool)
    true[0, 1:5, 1:5] = replaced[0, 1:5, 2:6] = True
    true[1, 1:3, 1:3] = replaced[1, :4, :4] = True
    assert replaced_beyond(replaced, true).tolist() == [0.25, 3.0]
    assert mask_missed(replaced, true).tolist() == [0.25, 0.0]


@given(PAIRS)
def test_areas_add_up(pair):
    replaced, true = pair
    true[:, 0, 0] = True
    area = true.sum(axis=(1, 2))
    covered = replaced_beyond(replaced, true) - mask_missed(replaced, true) + 1
    np.testing.assert_allclose(covered * area, replaced.sum(axis=(1, 2)), atol=1e-9)


def test_refuses_an_empty_mask():
    nothing, some = np.zeros((1, 4, 4), bool), np.ones((1, 4, 4), bool)
    assert replaced_beyond(nothing, some) == 0
    assert mask_missed(nothing, some) == 1
    for metric in (replaced_beyond, mask_missed):
        with pytest.raises(ValueError, match="empty"):
            metric(some, nothing)
