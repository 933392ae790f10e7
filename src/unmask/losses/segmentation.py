"""The multi-task loss of Mask R-CNN (He et al. 2017, section 3), which may weigh thin parts more.

Ear loops are few of a mask's pixels: under a plain mean they are learned last.
"""

import operator
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection.roi_heads import project_masks_on_boxes

_THIN = 16  # thin parts are at most 2 / 16 of a box's side wide


def thin_parts(masks: Tensor) -> Tensor:
    """What a morphological opening by a square of side M / 8 + 1 removes from masks.

    Args:
        masks: (K, M, M) in [0, 1].

    Returns:
        (K, M, M) in [0, 1].
    """
    side = 2 * (masks.shape[-1] // _THIN) + 1

    def dilated(maps: Tensor) -> Tensor:
        return functional.max_pool2d(maps[:, None], side, stride=1, padding=side // 2)[:, 0]

    return masks - dilated(-dilated(-masks))


def mask_loss(logits: Tensor, boxes: list[Tensor], masks: list[Tensor], thin: float) -> Tensor:
    """Weighted mean of the binary cross-entropy in the boxes.

    Args:
        logits: (K, M, M) of 'face mask', in the K boxes of all pictures.
        boxes: per picture, (K_i, 4) x0, y0, x1, y1 in pixels, all of its one mask.
        masks: per picture, (1, S, S) uint8 0 or 1; (0, S, S) where it has no boxes.
        thin: weight of pixels of thin parts beyond the others' 1, at least 0; 0 is torchvision's
            loss.

    Returns:
        Scalar, at least 0; 0 where there is no box.
    """
    if not len(logits):
        return logits.sum() * 0
    true = torch.cat(
        [
            project_masks_on_boxes(mask, box, box.new_zeros(len(box)).long(), logits.shape[-1])
            for mask, box in zip(masks, boxes, strict=True)
            if len(box)
        ]
    )
    weight = 1 + thin * thin_parts(true)
    errors = functional.binary_cross_entropy_with_logits(logits.float(), true, reduction="none")
    return (errors * weight).sum() / weight.sum()


def total_loss(losses: dict[str, Tensor], mask_weight: float = 2.0) -> Tensor:
    """Sum of the proposal, box, class and mask losses, the mask's weighted.

    Args:
        losses: torchvision's scalar losses by name, at least one.
        mask_weight: weight of `loss_mask`; of all outputs only the mask is used downstream.
    """
    weighted = (
        loss * (mask_weight if name == "loss_mask" else 1.0) for name, loss in losses.items()
    )
    return reduce(operator.add, weighted)
