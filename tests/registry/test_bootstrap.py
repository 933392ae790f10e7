import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from unmask.registry.bootstrap import lower_bound, upper_bounds


def lower(gains: np.ndarray, confidence: float = 0.95, resamples: int = 500) -> float:
    return lower_bound(gains, confidence, resamples)


def upper(gains: np.ndarray, groups: list[np.ndarray], resamples: int = 500) -> np.ndarray:
    return upper_bounds([gains[g] for g in groups], groups, len(gains), 0.95, resamples)


def test_the_bound_of_a_constant_is_the_constant():
    assert lower(np.full(30, 0.25)) == 0.25
    assert upper(np.full(30, 0.25), [np.arange(30), np.arange(4)]).tolist() == [0.25, 0.25]


def test_the_bounds_are_where_the_normal_approximation_puts_them():
    gains = np.random.default_rng(2).normal(0.5, 1.0, 400)
    error = 1.645 * gains.std() / 20
    assert lower(gains, resamples=4000) == pytest.approx(gains.mean() - error, abs=0.015)
    (bound,) = upper(gains, [np.arange(400)], resamples=4000)
    assert bound == pytest.approx(gains.mean() + error, abs=0.015)


@given(seed=st.integers(0, 9999), size=st.integers(2, 200), confidence=st.floats(0.55, 0.99))
def test_the_lower_bound_is_scipy_s_percentile_bootstrap(seed, size, confidence):
    gains = np.random.default_rng(seed).standard_t(5, size)
    found = bootstrap(
        (gains,),
        np.mean,
        n_resamples=300,
        confidence_level=confidence,
        alternative="greater",
        method="percentile",
        rng=0,
    )
    bound = lower(gains, confidence, resamples=300)
    assert bound == pytest.approx(found.confidence_interval.low, abs=1e-12)


def test_bounds_of_many_groups_are_as_wide_as_independent_ones_must_be():
    """Of 20 independent normal means the largest error is 2.80 at 95 %, of one 1.645."""
    gains = np.random.default_rng(2).normal(0.0, 1.0, 2000)
    groups = list(np.arange(2000).reshape(20, 100))
    errors = np.array([gains[g].std() / 10 for g in groups])
    widths = (upper(gains, groups, resamples=4000) - [gains[g].mean() for g in groups]) / errors
    assert widths == pytest.approx(2.80, abs=0.25)
    again = upper(gains, [np.arange(2000)] * 20, resamples=4000)  # the same group 20 times
    assert again == pytest.approx(upper(gains, [np.arange(2000)], resamples=4000)[0])


def test_the_lower_bound_holds_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    below = [lower(rng.normal(1.0, 1.0, 60)) <= 1.0 for _ in range(200)]
    assert 0.88 < np.mean(below) < 0.99


def test_all_upper_bounds_hold_at_once_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    groups = [*np.arange(200).reshape(5, 40), *np.arange(200).reshape(40, 5).T, np.arange(200)]
    above = [(upper(rng.normal(1.0, 1.0, 200), groups, 300) >= 1.0).all() for _ in range(200)]
    assert 0.88 < np.mean(above) < 0.99


@given(seed=st.integers(0, 9999), size=st.integers(1, 60), shift=st.floats(-5, 5))
def test_bounds_lie_beside_the_mean_and_move_with_it(seed, size, shift):
    gains = np.random.default_rng(seed).normal(0, 2, size)
    groups = [np.arange(size), np.arange((size + 1) // 2)]
    below, above = lower(gains), upper(gains, groups)
    assert gains.min() - 1e-12 <= below <= gains.mean() + 1e-9
    assert above[0] >= gains.mean() - 1e-9
    assert lower(gains + shift) == pytest.approx(below + shift, abs=1e-9)
    assert upper(gains + shift, groups) == pytest.approx(above + shift, abs=1e-9)
    assert lower(gains) == below
    assert lower(gains, confidence=0.99) <= below
