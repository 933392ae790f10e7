import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.gender import labelled_cross_entropy

NAN = float("nan")


def test_hand_computed():
    logits, labels = torch.tensor([2.0, -1.0, 5.0]), torch.tensor([1.0, 0.0, NAN])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 3
    assert labelled_cross_entropy(logits, labels, smoothing=0.0).item() == pytest.approx(expected)
    # at logit 0 every target costs log 2, smoothed or not
    assert labelled_cross_entropy(torch.zeros(4), torch.ones(4)).item() == pytest.approx(
        math.log(2)
    )


def test_smoothing_draws_the_best_logit_to_where_it_says():
    best = math.log(0.975 / 0.025)
    logits = torch.tensor([best], requires_grad=True)
    labelled_cross_entropy(logits, torch.ones(1), smoothing=0.05).backward()
    assert logits.grad.item() == pytest.approx(0, abs=1e-6)


def test_unknown_faces_give_no_loss_and_no_gradient():
    logits = torch.tensor([30.0, -3.0], requires_grad=True)
    loss = labelled_cross_entropy(logits, torch.tensor([NAN, NAN]))
    loss.backward()
    assert loss.item() == 0
    assert (logits.grad == 0).all()
    half = torch.tensor([30.0, -3.0], requires_grad=True)
    labelled_cross_entropy(half, torch.tensor([NAN, 1.0])).backward()
    assert half.grad[0] == 0
    assert half.grad[1] < 0


@given(
    st.lists(st.tuples(st.floats(-80, 80, width=32), st.sampled_from([0.0, 1.0, NAN])), min_size=1)
)
def test_never_negative_and_gradients_finite(faces):
    logits, labels = (torch.tensor(column) for column in zip(*faces, strict=True))
    logits.requires_grad_()
    loss = labelled_cross_entropy(logits, labels)
    loss.backward()
    assert loss.isfinite()
    assert loss.item() >= 0
    assert logits.grad.isfinite().all()
