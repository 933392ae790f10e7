"""What the training of all four networks has in common: schedule, batches, seeds, logging."""

import math
from abc import abstractmethod
from typing import ClassVar

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from unmask.config.params import Fit
from unmask.config.section import Section
from unmask.datasets.cache import Split
from unmask.errors import UnmaskError
from unmask.models import build
from unmask.models.network import Network
from unmask.training.batches import Augmented, Fixed, Sample, Steps, loader

_VALIDATION_FACES = 160
_WARM_UP, _LONGEST_WARM_UP = 0.05, 500  # as a share of the steps; in steps


def scheduled(optimizer: Optimizer, steps: int, hold: float = 0.0) -> LambdaLR:
    """Schedule a learning rate: a linear warm-up, a constant phase, a cosine down to zero.

    Args:
        optimizer: whose learning rate is scheduled.
        steps: number of optimiser steps of the training; the warm-up takes a twentieth of them,
            at most 500.
        hold: share of the steps after the warm-up at the full rate, 0 up to, not including, 1.
    """
    warm = min(max(1, round(_WARM_UP * steps)), _LONGEST_WARM_UP)
    falls = warm + round(hold * (steps - warm))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * max(0, step - falls) / max(1, steps - falls)))

    return LambdaLR(optimizer, factor)


def pixels(images: Tensor) -> np.ndarray:
    """Convert RGB (N, 3, S, S) in [0, 1] to uint8 (N, S, S, 3); values outside are clipped."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round()
    return scaled.permute(0, 2, 3, 1).byte().cpu().numpy()


class NetworkModule(L.LightningModule):
    """Trains one network in epochs of `params.epoch_steps` optimiser steps.

    All randomness of a step follows from (seed, epoch, step), so that a training that is resumed
    from the checkpoint of any epoch ends with the weights of one that was never interrupted.

    Args:
        params: the section `train.<name>`.
        augment: the section `augment.<name>`.
        train: the split to train on.
        val: the split to validate on, of which at most 160 faces are used.
        seed: of all random choices.
        workers: number of processes that load training batches; 0 loads in this process.

    Attributes:
        name: the network's name in params.
        monitor: the validation score that early stopping watches.
        mode: 'max' or 'min', the direction in which that score improves.
        guided_by: name of the trained network whose predictions are an input; None for none.
        guide: that network; only where `guided_by` names one.
    """

    name: ClassVar[str]
    monitor: ClassVar[str]
    mode: ClassVar[str]
    guided_by: ClassVar[str | None] = None

    params: Fit
    augment: Section
    network: Network
    guide: Network

    def __init__(
        self,
        params: Fit,
        augment: Section,
        train: Split,
        val: Split,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.params, self.augment = params, augment
        network = build(self.name, params, pretrained=getattr(params, "pretrained", False))
        self.network = network.to(memory_format=torch.channels_last)
        self._splits, self._seed, self._workers = (train, val), seed, workers

    def follow(self, guide: Network) -> None:
        """Take predictions of the trained network `guided_by` as an input; it is not trained."""
        self.guide = guide.to(memory_format=torch.channels_last).requires_grad_(False).eval()

    def start_from(self, network: Network) -> None:
        """Start training from the weights of a stored network.

        Raises:
            UnmaskError: when their shapes or names differ from this network's.
        """
        self.load(network.state_dict())

    def load(self, state: dict[str, Tensor]) -> None:
        """Load weights by name.

        Raises:
            UnmaskError: when their shapes or names differ from this network's.
        """
        try:
            self.network.load_state_dict(state)
        except RuntimeError as error:
            raise UnmaskError(
                f"train.init: the released {self.name} network has another shape than "
                f"train.{self.name} gives it: use its params.json's params, or init: scratch."
            ) from error

    @abstractmethod
    def training_sample(self) -> Sample:
        """Return the maker of augmented samples, which the network is trained on."""

    @abstractmethod
    def validation_sample(self) -> Sample:
        """Return the maker of samples without augmentation, which it is validated on."""

    @abstractmethod
    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """Draw a contact sheet, RGB uint8, of the network's predictions for a validation batch."""

    def trained(self) -> nn.Module:
        """Return the network to store."""
        return self.network

    def train_dataloader(self) -> DataLoader:
        """Load the batches of the current epoch."""
        train, trainer = self._splits[0], self.trainer
        steps = Steps(
            [label["weight"] for label in train.labels],
            self.params.batch_size,
            self.params.epoch_steps,
            trainer.current_epoch,
            self._seed,
            trainer.global_rank,
            trainer.world_size,
        )
        dataset = Augmented(train, self.training_sample(), self._seed)
        return loader(dataset, self._workers, batch_sampler=steps)

    def val_dataloader(self) -> DataLoader:
        """Load at most 160 faces of the validation split, the same in every epoch."""
        dataset = Fixed(self._splits[1], self.validation_sample(), _VALIDATION_FACES)
        return loader(dataset, 0, batch_size=self.params.batch_size)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Seed torch by (seed, epoch, step, process), so that a resumed training is the same."""
        del batch
        entropy = [self._seed, self.current_epoch, batch_idx, self.trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1)[0]))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Train the network by AdamW at the scheduled rate."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            self.params.learning_rate,
            weight_decay=self.params.weight_decay,
        )
        schedule = scheduled(optimizer, self.params.steps, self.params.hold)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def report(self, losses: dict[str, Tensor]) -> None:
        """Log the training losses of a step, averaged over the epoch and over all processes.

        The processes' mean is taken here: Lightning would take it when a callback reads the losses,
        which happens in the first process only, and would then wait for the others for ever.

        Args:
            losses: scalars by name.

        Raises:
            FloatingPointError: when a loss is not finite; the message shows all of them.
        """
        values = torch.stack([loss.detach() for loss in losses.values()])
        values = self.trainer.strategy.reduce(values, reduce_op="mean")
        shown = {f"train/{name}": value for name, value in zip(losses, values, strict=True)}
        if not values.isfinite().all():
            named = {name: float(value) for name, value in shown.items()}
            raise FloatingPointError(f"{self.name}: a loss is not finite: {named}")
        self.log_dict(shown, on_step=False, on_epoch=True)
