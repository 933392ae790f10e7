"""Training of the landmark network on loosely framed masked faces."""

from functools import partial

import numpy as np
from torch import Tensor

from unmask.augmentation.views import loosely_framed, unchanged
from unmask.geometry.landmarks import OUTER_EYE_CORNERS
from unmask.losses.landmarks import wing_loss
from unmask.sheets import grid, with_points
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels


def _inter_ocular(landmarks: Tensor) -> Tensor:
    right, left = OUTER_EYE_CORNERS
    return (landmarks[:, right] - landmarks[:, left]).norm(dim=1).clamp_min(1.0)


class LandmarksModule(NetworkModule):
    """Wing loss in units of the inter-ocular distance."""

    name, monitor, mode = "landmarks", "val/nme", "min"

    def training_sample(self) -> Sample:
        return partial(
            loosely_framed, size=self.params.image_size, photometric=self.params.photometric
        )

    def validation_sample(self) -> Sample:
        return partial(unchanged, size=self.params.image_size)

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        unit = _inter_ocular(batch["landmarks"])[:, None, None]
        loss = wing_loss(self.network(batch["image"]) / unit, batch["landmarks"] / unit)
        self.report({"loss": loss})
        return loss

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        error = (self.network(batch["image"]) - batch["landmarks"]).norm(dim=2).mean(dim=1)
        nme = error / _inter_ocular(batch["landmarks"])
        self.log("val/nme", nme.mean(), batch_size=len(nme))

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        predicted = self.network(batch["image"]).float().cpu().numpy()
        true = batch["landmarks"].cpu().numpy()
        cells = [
            with_points(image, {"true": t, "predicted": p})
            for image, t, p in zip(pixels(batch["image"]), true, predicted, strict=True)
        ]
        return grid([cells[:6]])
