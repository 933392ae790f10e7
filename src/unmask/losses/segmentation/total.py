"""The multi-task loss of Mask R-CNN (He et al. 2017, section 3)."""

from torch import Tensor


def total_loss(losses: dict[str, Tensor], mask_weight: float = 2.0) -> Tensor:
    """Sum of the proposal, box, class and mask losses, the mask's weighted.

    Args:
        losses: torchvision's scalar losses by name.
        mask_weight: weight of `loss_mask`; the mask is what this product uses.
    """
    return sum(
        loss * (mask_weight if name == "loss_mask" else 1.0) for name, loss in losses.items()
    )
