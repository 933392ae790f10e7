import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.losses.inpainting import (
    gram,
    perceptual_distances,
    perceptual_loss,
    style_loss,
)


def features(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, c, s, s, generator=generator) for c, s in ((3, 8), (5, 4))]


def test_gram_by_hand():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # 2 channels of 1 x 2 pixels
    expected = torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 4
    torch.testing.assert_close(gram(maps), expected)


def test_perceptual_by_hand():
    true = [torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 2, 2)]
    predicted = [torch.full((1, 2, 4, 4), 3.0), torch.full((1, 4, 2, 2), 5.0)]
    assert perceptual_loss(predicted, true, torch.ones(1, 1, 8, 8)).item() == pytest.approx(4)
    # only the left half counts, and it is right
    half = torch.zeros(1, 1, 8, 8)
    half[..., :4] = 1
    for level in predicted:
        level[..., : level.shape[-1] // 2] = 0
    assert perceptual_loss(predicted, true, half).item() == 0
    assert perceptual_loss(predicted, true, 1 - half).item() == pytest.approx(4)


def test_style_by_hand():
    # one channel of ones against zeros: gram 1 against 0 at every level
    true, predicted = [torch.zeros(1, 1, 2, 2)], [torch.ones(1, 1, 2, 2)]
    assert style_loss(predicted, true, torch.ones(1, 1, 4, 4)).item() == pytest.approx(1)
    corner = torch.zeros(1, 1, 4, 4)
    corner[..., :2, :2] = 1
    assert style_loss(predicted, true, corner).item() == pytest.approx(0.25)


def test_style_does_not_see_where_a_texture_lies():
    maps = features(0)
    turned = [level.flip(-1).flip(-2) for level in maps]
    whole = torch.ones(2, 1, 16, 16)
    assert style_loss(turned, maps, whole).item() == pytest.approx(0, abs=1e-6)
    assert perceptual_loss(turned, maps, whole).item() > 0.1


def mean_distance(*features) -> torch.Tensor:
    return perceptual_distances(*features).mean()


@pytest.mark.parametrize("loss", [perceptual_loss, mean_distance, style_loss])
@given(seed=st.integers(0, 999))
def test_zero_at_equality_positive_elsewhere_gradients_finite(loss, seed):
    true, predicted = features(seed), [level.requires_grad_() for level in features(seed + 1)]
    weight = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    assert loss(true, true, weight).item() == 0
    value = loss(predicted, true, weight)
    assert value.item() > 0
    value.backward()
    assert all(level.grad.isfinite().all() for level in predicted)
    nothing = loss(predicted, true, 0 * weight)
    assert nothing.item() == 0
