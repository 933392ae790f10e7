import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.inpainting import (
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
)

LEFT = torch.zeros(1, 1, 8, 8)
LEFT[..., :4] = 1


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 2, 2)


def test_hand_computed_over_the_patches_that_see_hole():
    real, fake = logits(0.5, 9.0, 3.0, -9.0), logits(-2.0, -9.0, 1.0, 9.0)
    # the left patches: real 0.5 and 3, fake -2 and 1
    assert discriminator_loss(real, fake, LEFT).item() == pytest.approx(0.5 / 2 + 2 / 2)
    assert generator_loss(fake, LEFT).item() == pytest.approx(0.5)


def test_a_pixel_of_hole_makes_its_patch_count():
    hole = torch.zeros(1, 1, 8, 8)
    hole[0, 0, 7, 0] = 1
    assert generator_loss(logits(1.0, 2.0, 4.0, 8.0), hole).item() == pytest.approx(-4)


def test_a_sure_discriminator_has_no_loss_and_no_gradient():
    real, fake = (logits(*[v] * 4).requires_grad_() for v in (1.5, -1.5))
    loss = discriminator_loss(real, fake, LEFT)
    assert loss.item() == 0
    loss.backward()
    assert (real.grad == 0).all()
    assert (fake.grad == 0).all()


@given(seed=st.integers(0, 9999))
def test_hinge_is_never_negative_and_pulls_the_right_way(seed):
    generator = torch.Generator().manual_seed(seed)
    real, fake = (
        (3 * torch.randn(2, 1, 5, 5, generator=generator)).requires_grad_() for _ in range(2)
    )
    hole = (torch.rand(2, 1, 40, 40, generator=generator) < 0.01).float()
    hole[0, 0, 0, 0] = 1
    loss = discriminator_loss(real, fake, hole)
    assert loss.item() >= 0
    loss.backward()
    assert (real.grad <= 0).all()
    assert (fake.grad >= 0).all()
    again = fake.detach().clone().requires_grad_()
    generator_loss(again, hole).backward()
    assert (again.grad <= 0).all()
    assert again.grad.sum().item() == pytest.approx(-1, rel=1e-5)


def test_no_hole_is_no_loss():
    nothing = torch.zeros(1, 1, 8, 8)
    assert discriminator_loss(logits(1, 2, 3, 4), logits(1, 2, 3, 4), nothing).item() == 0
    assert generator_loss(logits(1, 2, 3, 4), nothing).item() == 0


def test_feature_matching_by_hand_where_the_hole_is_and_only_towards_the_filled_face():
    real = [torch.zeros(1, 2, 4, 4, requires_grad=True), torch.zeros(1, 4, 2, 2)]
    first = torch.full((1, 2, 4, 4), 2.0)
    first[..., 2:] = 90.0  # sees no hole
    fake = [first.requires_grad_(), torch.ones(1, 4, 2, 2).requires_grad_()]
    loss = feature_matching_loss(real, fake, LEFT)
    assert loss.item() == pytest.approx(1.5)
    assert feature_matching_loss(real, real, LEFT).item() == 0
    loss.backward()
    assert real[0].grad is None
    assert (fake[0].grad[..., :2] > 0).all()
    assert (fake[0].grad[..., 2:] == 0).all()
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        feature_matching_loss(real, fake[:1], LEFT)
