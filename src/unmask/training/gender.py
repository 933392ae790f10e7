"""Training of the gender network on masked faces."""

from functools import partial

import numpy as np
from torch import Tensor

from unmask.augmentation.views import aligned_view, plain_view
from unmask.config.augment import AlignedViews
from unmask.config.params import Gender
from unmask.datasets.cache import Split
from unmask.errors import UnmaskError
from unmask.losses.gender import labelled_cross_entropy
from unmask.metrics.classification import gender_accuracy
from unmask.sheets import captioned, grid
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels


class GenderModule(NetworkModule):
    """Trains by binary cross-entropy on roughly aligned masked faces.

    Arguments are those of NetworkModule.

    Raises:
        UnmaskError: when no face of a split has a gender label.
    """

    name, monitor, mode = "gender", "val/accuracy", "max"
    params: Gender
    augment: AlignedViews

    def __init__(
        self,
        params: Gender,
        augment: AlignedViews,
        train: Split,
        val: Split,
        seed: int,
        workers: int = 0,
    ) -> None:
        for name, split in {"train": train, "val": val}.items():
            if not any(label["gender"] for label in split.labels):
                raise UnmaskError(
                    f"no face of the split '{name}' has a gender: add a source with labels."
                )
        super().__init__(params, augment, train, val, seed, workers)

    def training_sample(self) -> Sample:
        """Return the maker of samples with errors of alignment and changed light."""
        return partial(
            aligned_view,
            size=self.params.image_size,
            photometric=self.params.photometric,
            augment=self.augment,
        )

    def validation_sample(self) -> Sample:
        """Return the maker of samples as the frame shows them."""
        return partial(plain_view, size=self.params.image_size)

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        """Compute and log the loss of a batch."""
        loss = labelled_cross_entropy(self.network(batch["image"]).float(), batch["gender"])
        self.report({"loss": loss})
        return loss

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Log loss and accuracy over the faces of known gender."""
        known = batch["gender"].isfinite()
        if known.any():
            logits = self.network(batch["image"]).float()[known]
            labels = batch["gender"][known]
            self.log_dict(
                {
                    "val/loss": labelled_cross_entropy(logits, labels),
                    "val/accuracy": gender_accuracy(logits.sigmoid(), labels.long()),
                },
                batch_size=int(known.sum()),
            )

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """Draw eight faces, captioned with the label and the probability of 'male'."""
        probability = self.network(batch["image"]).float().sigmoid().tolist()
        names = {0.0: "female", 1.0: "male"}
        cells = [
            captioned(image, f"{names.get(label, '?')}: {p:.2f} male")
            for image, label, p in zip(
                pixels(batch["image"]), batch["gender"].tolist(), probability, strict=True
            )
        ]
        return grid([cells[:8]])
