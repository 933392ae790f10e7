import torch

from unmask.losses.segmentation import total_loss


def test_the_mask_counts_double_and_every_other_loss_once():
    losses = {
        name: torch.tensor(value, requires_grad=True)
        for name, value in (
            ("loss_classifier", 1.0),
            ("loss_box_reg", 10.0),
            ("loss_mask", 100.0),
            ("loss_objectness", 1000.0),
            ("loss_rpn_box_reg", 10000.0),
        )
    }
    total = total_loss(losses)
    assert total.item() == 11211
    total.backward()
    gradients = {name: loss.grad.item() for name, loss in losses.items()}
    assert gradients == dict.fromkeys(losses, 1.0) | {"loss_mask": 2.0}
    assert total_loss(losses, mask_weight=0.0).item() == 11011


def test_no_loss_at_all_is_zero():
    assert total_loss({"loss_mask": torch.zeros(()), "loss_box_reg": torch.zeros(())}).item() == 0
