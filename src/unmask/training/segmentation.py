"""Training of Mask R-CNN on masked faces in their surroundings."""

from functools import partial

import numpy as np
from torch import Tensor

from unmask.augmentation.views import in_surroundings, unchanged
from unmask.config.params import Segmentation
from unmask.datasets.cache import Split
from unmask.losses.segmentation import mask_loss, total_loss
from unmask.models.segmentation import FACE_MASK, detection_target
from unmask.sheets import grid, with_outlines
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels


class SegmentationModule(NetworkModule):
    """The multi-task loss of Mask R-CNN with one instance a picture."""

    name, monitor, mode = "segmentation", "val/iou", "max"

    def __init__(
        self, params: Segmentation, train: Split, val: Split, seed: int, workers: int = 0
    ) -> None:
        super().__init__(params, train, val, seed, workers)
        heads = self.network.network.roi_heads  # torchvision's, whose mask loss is fixed
        heads.mask_roi_pool.register_forward_hook(self._keep_boxes)
        heads.mask_predictor.register_forward_hook(self._keep_logits)

    def _keep_boxes(self, pool, inputs: tuple, pooled: Tensor) -> None:
        self._boxes: list[Tensor] = inputs[1]

    def _keep_logits(self, predictor, inputs: tuple, logits: Tensor) -> None:
        self._logits = logits[:, FACE_MASK]

    def training_sample(self) -> Sample:
        return partial(
            in_surroundings, size=self.params.image_size, photometric=self.params.photometric
        )

    def validation_sample(self) -> Sample:
        return partial(unchanged, size=self.params.image_size)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        targets = [detection_target(mask) for mask in batch["mask"]]
        losses = self.network(batch["image"], targets)
        masks = [target["masks"] for target in targets]
        losses["loss_mask"] = mask_loss(self._logits, self._boxes, masks, self.params.thin)
        loss = total_loss(losses)
        self.report({"loss": loss, **losses})
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        predicted = self.network(batch["image"])[0] > 0.5
        both = (predicted & batch["mask"]).sum(dim=(1, 2))
        either = (predicted | batch["mask"]).sum(dim=(1, 2)).clamp_min(1)
        self.log("val/iou", (both / either).mean(), batch_size=len(predicted))

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        predicted = (self.network(batch["image"])[0] > 0.5).cpu().numpy()
        true = batch["mask"].cpu().numpy()
        cells = [
            with_outlines(image, {"true": t, "predicted": p})
            for image, t, p in zip(pixels(batch["image"]), true, predicted, strict=True)
        ]
        return grid([cells[:6]])
