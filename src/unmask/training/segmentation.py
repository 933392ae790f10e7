"""Training of Mask R-CNN on masked faces in their surroundings."""

from functools import partial

import numpy as np
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads

from unmask.augmentation.views import plain_view, surrounded_view
from unmask.config.augment import SurroundedViews
from unmask.config.params import Segmentation
from unmask.datasets.cache import Split
from unmask.losses.segmentation import mask_loss, total_loss
from unmask.metrics.iou import mask_iou
from unmask.models.segmentation import FACE_MASK, SegmentationNet, detection_target
from unmask.sheets import grid, with_outlines
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels


class SegmentationModule(NetworkModule):
    """Trains by the multi-task loss of Mask R-CNN, with one instance per picture.

    Arguments are those of NetworkModule.
    """

    name, monitor, mode = "segmentation", "val/iou", "max"
    params: Segmentation
    augment: SurroundedViews
    network: SegmentationNet

    def __init__(
        self,
        params: Segmentation,
        augment: SurroundedViews,
        train: Split,
        val: Split,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__(params, augment, train, val, seed, workers)
        # torchvision's heads compute a mask loss without weights: hooks keep what another one needs
        heads = self.network.network.roi_heads
        assert isinstance(heads, RoIHeads)
        heads.mask_roi_pool.register_forward_hook(self._keep_boxes)
        heads.mask_predictor.register_forward_hook(self._keep_logits)

    def _keep_boxes(self, _pool: nn.Module, inputs: tuple, _pooled: Tensor) -> None:
        self._boxes: list[Tensor] = inputs[1]

    def _keep_logits(self, _predictor: nn.Module, _inputs: tuple, logits: Tensor) -> None:
        self._logits = logits[:, FACE_MASK]

    def training_sample(self) -> Sample:
        """Return the maker of samples that show the face in its surroundings."""
        return partial(
            surrounded_view,
            size=self.params.image_size,
            photometric=self.params.photometric,
            augment=self.augment,
        )

    def validation_sample(self) -> Sample:
        """Return the maker of samples as the frame shows them."""
        return partial(plain_view, size=self.params.image_size)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute and log the losses of a batch."""
        targets = [detection_target(mask) for mask in batch["mask"]]
        losses = self.network(batch["image"], targets)
        masks = [target["masks"] for target in targets]
        losses["loss_mask"] = mask_loss(self._logits, self._boxes, masks, self.params.thin)
        loss = total_loss(losses)
        self.report({"loss": loss, **losses})
        return loss

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Log the intersection over union of predicted and true masks."""
        overlap = mask_iou(self.network(batch["image"])[0] > 0.5, batch["mask"])
        self.log("val/iou", float(overlap.mean()), batch_size=len(overlap))

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """Draw six faces with the outlines of true and predicted masks."""
        predicted = (self.network(batch["image"])[0] > 0.5).cpu().numpy()
        true = batch["mask"].cpu().numpy()
        cells = [
            with_outlines(image, {"true": t, "predicted": p})
            for image, t, p in zip(pixels(batch["image"]), true, predicted, strict=True)
        ]
        return grid([cells[:6]])
