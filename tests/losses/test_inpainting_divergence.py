import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.inpainting import kl_divergence


def test_hand_computed():
    # N(1, 1): 1/2; N(0, 4): (4 - 1 - log 4) / 2; summed over z, averaged over faces
    mean = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    log_variance = torch.tensor([[0.0, math.log(4)], [0.0, 0.0]])
    expected = (0.5 + (4 - 1 - math.log(4)) / 2) / 2
    assert kl_divergence(mean, log_variance).mean().item() == pytest.approx(expected)


@given(seed=st.integers(0, 999), spread=st.floats(0.01, 4))
def test_agrees_with_torch_distributions_and_is_never_negative(seed, spread):
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 5)
    mean, log_variance = (
        (spread * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_()
        for _ in range(2)
    )
    divergence = kl_divergence(mean, log_variance)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)
    )
    torch.testing.assert_close(divergence, expected.sum(1))
    assert (divergence > 0).all()
    divergence.mean().backward()
    assert mean.grad.isfinite().all()
    assert log_variance.grad.isfinite().all()


def test_zero_at_the_standard_normal():
    assert kl_divergence(torch.zeros(2, 8), torch.zeros(2, 8)).tolist() == [0, 0]


def test_what_is_free_of_each_number_costs_nothing():
    mean = torch.tensor([[1.0, 0.2, 2.0]], requires_grad=True)  # 0.5, 0.02 and 2 nats
    divergence = kl_divergence(mean, torch.zeros(1, 3), free=0.4)
    assert divergence.item() == pytest.approx(0.1 + 1.6)
    divergence.backward()
    assert mean.grad.tolist() == [[1.0, 0.0, 2.0]]
