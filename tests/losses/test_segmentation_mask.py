import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection.roi_heads import maskrcnn_loss, project_masks_on_boxes

from unmask.losses.segmentation import mask_loss, thin_parts

SIDE = 28
CENTRE, NOWHERE = torch.tensor([[8.0, 8.0, 40.0, 40.0]]), torch.zeros(0, 4)


def looped() -> torch.Tensor:
    """A mask (1, 48, 48) with a loop of 2 pixels."""
    mask = torch.zeros(1, 48, 48, dtype=torch.uint8)
    mask[:, 20:38, 10:30] = 1
    mask[:, 22:24, 30:40] = 1
    return mask


def test_thin_parts_are_what_a_square_does_not_fit_into():
    masks = torch.zeros(1, 56, 56)
    masks[:, 10:40, 10:40] = 1
    masks[:, 20:23, 40:56] = 1
    expected = torch.zeros(1, 56, 56)
    expected[:, 20:23, 40:56] = 1
    assert torch.equal(thin_parts(masks), expected)


@given(seed=st.integers(0, 999), extra=st.integers(0, 3))
def test_without_a_weight_it_is_torchvision_s(seed, extra):
    noise = torch.Generator().manual_seed(seed)
    logits = torch.randn(1 + extra, SIDE, SIDE, generator=noise)
    moved = CENTRE + torch.rand(extra, 4, generator=noise)
    boxes, masks = [CENTRE, NOWHERE, moved], [looped(), looped()[:0], looped()]
    index = [torch.zeros(len(box), dtype=torch.int64) for box in boxes]
    both = torch.stack([torch.zeros_like(logits), logits], dim=1)
    labels = [torch.ones(1, dtype=torch.int64)] * 3
    theirs = maskrcnn_loss(both, boxes, [looped()] * 3, labels, index)
    assert mask_loss(logits, boxes, masks, 0.0).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_a_missed_loop_costs_more_than_as_many_other_pixels():
    true = looped()
    right = (project_masks_on_boxes(true, CENTRE, torch.tensor([0]), SIDE) > 0.5).float()
    missed, other = right.clone(), right.clone()
    missed[:, :, 20:] = 0
    count = int((missed != right).sum())
    other[:, 16:20, 4 : 4 + count // 4] = 0

    def excess(answer: torch.Tensor, thin: float) -> float:
        """What an answer costs more than the right one."""
        worse, best = (
            mask_loss(20 * logits - 10, [CENTRE], [true], thin) for logits in (answer, right)
        )
        return (worse - best).item()

    assert count >= 8
    assert excess(missed, 0.0) < excess(other, 0.0)
    assert excess(missed, 4.0) > 1.5 * excess(other, 4.0)


def test_without_boxes_it_is_zero_and_has_a_gradient():
    logits = torch.zeros(0, SIDE, SIDE, requires_grad=True)
    loss = mask_loss(logits, [NOWHERE], [looped()[:0]], 4.0)
    loss.backward()
    assert loss.item() == 0
