import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.inpainting import masked_l1


def pictures(seed: int, n: int = 2, side: int = 6) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    predicted, true = (torch.rand(n, 3, side, side, generator=generator) for _ in range(2))
    return predicted, true, (torch.rand(n, 1, side, side, generator=generator) < 0.4).float()


def test_hand_computed():
    true = torch.zeros(1, 3, 2, 2)
    predicted = true.clone()
    predicted[0, :, 0, 0] = torch.tensor([0.3, 0.6, 0.9])
    predicted[0, :, 1, 1] = 7.0
    weight = torch.tensor([[[[1.0, 2.0], [0.0, 0.0]]]])
    assert masked_l1(predicted, true, weight).item() == pytest.approx(1.8 / (3 * 3))


@given(seed=st.integers(0, 9999))
def test_agrees_with_the_mean_over_each_faces_chosen_pixels(seed):
    predicted, true, weight = pictures(seed)
    weight[:, 0, 0, 0] = 1
    faces = zip(predicted, true, weight.bool(), strict=True)
    means = [(p - t)[w.expand_as(t)].abs().mean().item() for p, t, w in faces]
    expected = sum(means) / len(means)
    assert masked_l1(predicted, true, weight).item() == pytest.approx(expected, rel=1e-5)


@given(seed=st.integers(0, 9999))
def test_zero_at_equality_positive_elsewhere_and_blind_where_weight_is_zero(seed):
    predicted, true, weight = pictures(seed)
    weight[0, 0, 0, 0] = 1
    assert masked_l1(true, true, weight).item() == 0
    assert masked_l1(predicted, true, weight).item() > 0
    predicted.requires_grad_()
    masked_l1(predicted, true, weight).backward()
    assert predicted.grad.isfinite().all()
    assert (predicted.grad[(weight == 0).expand_as(true)] == 0).all()


@given(seed=st.integers(0, 9999))
def test_a_batchs_loss_is_the_mean_of_its_halves(seed):
    predicted, true, weight = pictures(seed, n=4)
    whole = masked_l1(predicted, true, weight)
    halves = [masked_l1(predicted[s], true[s], weight[s]) for s in (slice(0, 2), slice(2, 4))]
    assert whole.item() == pytest.approx(sum(halves).item() / 2, rel=1e-5)


def test_no_pixel_is_no_loss():
    predicted, true, weight = pictures(0)
    predicted.requires_grad_()
    loss = masked_l1(predicted, true, 0 * weight)
    loss.backward()
    assert loss.item() == 0
    assert (predicted.grad == 0).all()
