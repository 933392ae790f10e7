"""Training of the landmark network on loosely framed masked faces."""

from functools import partial

import numpy as np
from torch import Tensor

from unmask.augmentation.views import loose_view, plain_view
from unmask.config.augment import LooseViews
from unmask.config.params import Landmarks
from unmask.geometry.landmarks import OUTER_EYE_CORNERS
from unmask.losses.landmarks import wing_loss
from unmask.metrics.nme import nme
from unmask.sheets import grid, with_points
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels


def _inter_ocular(landmarks: Tensor) -> Tensor:
    """Inter-ocular distance (N,) of landmarks (N, 68, 2) in pixels, at least 1."""
    right, left = OUTER_EYE_CORNERS
    return (landmarks[:, right] - landmarks[:, left]).norm(dim=1).clamp_min(1.0)


class LandmarksModule(NetworkModule):
    """Trains by the wing loss in units of the inter-ocular distance.

    Arguments are those of NetworkModule.
    """

    name, monitor, mode = "landmarks", "val/nme", "min"
    params: Landmarks
    augment: LooseViews

    def training_sample(self) -> Sample:
        """Return the maker of samples that a face detector's box might frame."""
        return partial(
            loose_view,
            size=self.params.image_size,
            photometric=self.params.photometric,
            augment=self.augment,
        )

    def validation_sample(self) -> Sample:
        """Return the maker of samples as the frame shows them."""
        return partial(plain_view, size=self.params.image_size)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute and log the loss of a batch."""
        unit = _inter_ocular(batch["landmarks"])[:, None, None]
        loss = wing_loss(self.network(batch["image"]) / unit, batch["landmarks"] / unit)
        self.report({"loss": loss})
        return loss

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Log the normalised mean error."""
        errors = nme(self.network(batch["image"]), batch["landmarks"])
        self.log("val/nme", float(errors.mean()), batch_size=len(errors))

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """Draw six faces with true and predicted landmarks."""
        predicted = self.network(batch["image"]).float().cpu().numpy()
        true = batch["landmarks"].cpu().numpy()
        cells = [
            with_points(image, {"true": t, "predicted": p})
            for image, t, p in zip(pixels(batch["image"]), true, predicted, strict=True)
        ]
        return grid([cells[:6]])
