import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.metrics.perceptual import perceptual_distance


def levels(seed=0, n=2):
    """Features of two levels, of pictures of 32 pixels."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n, 8, 16, 16)), rng.normal(size=(n, 12, 4, 4))]


def weights(seed=0, n=2):
    return np.random.default_rng(seed).random((n, 32, 32)) < 0.3


def by_loops(predicted, true, weight):
    """The same in plain numpy, place by place."""
    found = []
    for face in range(len(weight)):
        means = []
        for a, b in zip(predicted, true, strict=True):
            step = 32 // a.shape[2]
            total = counted = 0.0
            for y in range(a.shape[2]):
                for x in range(a.shape[3]):
                    u, v = a[face, :, y, x], b[face, :, y, x]
                    apart = u / np.sqrt(u @ u) - v / np.sqrt(v @ v)
                    part = weight[face, y * step : (y + 1) * step, x * step : (x + 1) * step]
                    total += part.mean() * (apart @ apart)
                    counted += part.mean()
            means.append(total / counted)
        found.append(np.mean(means))
    return found


def test_agrees_with_loops():
    predicted, true, weight = levels(0), levels(1), weights()
    found = perceptual_distance(predicted, true, weight)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, by_loops(predicted, true, weight), rtol=1e-5)
    tensors = ([torch.tensor(m) for m in predicted], [torch.tensor(m) for m in true])
    np.testing.assert_array_equal(perceptual_distance(*tensors, torch.tensor(weight)), found)


@given(seed=st.integers(0, 9999))
def test_range_symmetry_and_identity(seed):
    one, two, weight = levels(seed), levels(seed + 1), weights(seed)
    found = perceptual_distance(one, two, weight)
    assert ((found > 0) & (found <= 4)).all()
    np.testing.assert_allclose(found, perceptual_distance(two, one, weight), rtol=1e-6)
    assert (perceptual_distance(one, one, weight) == 0).all()
    opposite = perceptual_distance(one, [-m for m in one], weight)
    np.testing.assert_allclose(opposite, 4, rtol=1e-5)


def test_length_of_features_and_places_without_weight_do_not_count():
    one, two = levels(0), levels(1)
    weight = np.zeros((2, 32, 32))
    weight[:, 16:, 8:24] = 0.7  # whole places of both levels
    expected = perceptual_distance(one, two, weight)
    np.testing.assert_allclose(
        perceptual_distance([3 * m for m in one], two, weight), expected, rtol=1e-5
    )
    for maps in one:
        maps[:, :, : maps.shape[2] // 2] = 9.0
    np.testing.assert_allclose(perceptual_distance(one, two, weight), expected, rtol=1e-5)
    np.testing.assert_allclose(perceptual_distance(one, two, weight / 5), expected, rtol=1e-5)


def test_a_place_without_features_is_no_division_by_zero():
    one, two = levels(0), levels(1)
    one[0][:, :, 3, 3] = 0
    assert np.isfinite(perceptual_distance(one, two, weights())).all()


def test_refuses_bad_input():
    one, two, weight = levels(0), levels(1), weights()
    with pytest.raises(ValueError, match="shapes"):
        perceptual_distance(one, [two[0], two[1][:, :-1]], weight)
    with pytest.raises(ValueError, match="shapes"):
        perceptual_distance(one, two, weight[:1])
    with pytest.raises(ValueError, match="shorter"):
        perceptual_distance(one, two[:1], weight)
    with pytest.raises(ValueError, match="at least one level"):
        perceptual_distance([], [], weight)
    with pytest.raises(ValueError, match="not all 0"):
        perceptual_distance(one, two, weight & np.array([True, False])[:, None, None])
    with pytest.raises(ValueError, match="0 or more"):
        perceptual_distance(one, two, -1.0 * weight)
    one[0][0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        perceptual_distance(one, two, weight)
