import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.landmarks import wing_loss


def at(error: float, **options) -> float:
    true = torch.rand(2, 68, 2, dtype=torch.float64)
    return wing_loss(true + error, true, **options).item()


def test_hand_computed():
    assert at(0.05) == pytest.approx(0.1 * math.log(1 + 0.05 / 0.02))
    assert at(0.5) == pytest.approx(0.5 - (0.1 - 0.1 * math.log(6)))
    assert at(3.0, width=2.0, curvature=0.5) == pytest.approx(3 - (2 - 2 * math.log(5)))


def test_it_is_the_mean_over_coordinates():
    predicted = torch.zeros(1, 68, 2)
    predicted[0, 0, 0] = 0.05
    expected = 0.1 * math.log(3.5) / 136
    assert wing_loss(predicted, torch.zeros(1, 68, 2)).item() == pytest.approx(expected, rel=1e-5)


@given(error=st.floats(-10, 10))
def test_positive_symmetric_and_zero_only_at_equality(error):
    assert at(0.0) == 0
    assert at(error) == pytest.approx(at(-error))
    assert at(error) >= 0
    if abs(error) > 1e-6:
        assert at(error) > 0


def test_the_two_pieces_meet():
    assert at(0.1 - 1e-9) == pytest.approx(at(0.1 + 1e-9), abs=1e-7)


@given(small=st.floats(0, 5), more=st.floats(1e-3, 5))
def test_a_larger_error_costs_more(small, more):
    assert at(small + more) > at(small)


@given(seed=st.integers(0, 99), spread=st.sampled_from([0.0, 1e-4, 0.05, 1.0, 1e4]))
def test_gradients_are_finite(seed, spread):
    generator = torch.Generator().manual_seed(seed)
    true = torch.randn(3, 68, 2, generator=generator)
    predicted = (true + spread * torch.randn(3, 68, 2, generator=generator)).requires_grad_()
    wing_loss(predicted, true).backward()
    assert predicted.grad.isfinite().all()
