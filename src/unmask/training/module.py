"""What the training of all four networks shares: schedule, batches, seeding, scores."""

import math
from abc import abstractmethod
from typing import ClassVar

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from unmask.config.params import Fit
from unmask.datasets.cache import Split
from unmask.errors import UnmaskError
from unmask.models import build
from unmask.training.batches import Augmented, Fixed, Sample, Steps, loader

_VALIDATION_FACES = 160
_WARM_UP, _LONGEST_WARM_UP = 0.05, 500  # of the steps; steps


def scheduled(optimizer: Optimizer, steps: int, hold: float = 0.0) -> LambdaLR:
    """Linear warm-up over the first twentieth of the steps, a share `hold` of the others at the
    full rate, then a cosine down to zero."""
    warm = min(max(1, round(_WARM_UP * steps)), _LONGEST_WARM_UP)
    falls = warm + round(hold * (steps - warm))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * max(0, step - falls) / max(1, steps - falls)))

    return LambdaLR(optimizer, factor)


def pixels(images: Tensor) -> np.ndarray:
    """(N, 3, S, S) RGB in [0, 1] as uint8 (N, S, S, 3); values outside are clipped."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round()
    return scaled.permute(0, 2, 3, 1).byte().cpu().numpy()


class StartError(UnmaskError):
    """Weights that a training cannot start from."""


class NetworkModule(L.LightningModule):
    """Trains one network in epochs of `params.epoch_steps` optimiser steps.

    All randomness of a step follows from (seed, epoch, step), so that a training that goes on from
    the checkpoint of any epoch ends with the weights of one never stopped.

    Class attributes:
        name: the network's name in params.
        monitor: the validation score that early stopping watches.
        mode: 'max' or 'min', which way it improves.
        guided_by: the network, trained before, whose answers it is guided by; None where by none.
    """

    name: ClassVar[str]
    monitor: ClassVar[str]
    mode: ClassVar[str]
    guided_by: ClassVar[str | None] = None

    def __init__(self, params: Fit, train: Split, val: Split, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.params = params
        network = build(self.name, params, pretrained=getattr(params, "pretrained", False))
        self.network: nn.Module = network.to(memory_format=torch.channels_last)
        self._splits, self._seed, self._workers = (train, val), seed, workers

    def start_from(self, network: nn.Module) -> None:
        """Start from a stored network's weights.

        Raises:
            StartError: when they belong to a network of another shape.
        """
        self.load(network.state_dict())

    def load(self, state: dict[str, Tensor]) -> None:
        """Take weights by name.

        Raises:
            StartError: when they belong to a network of another shape.
        """
        try:
            self.network.load_state_dict(state)
        except RuntimeError as error:
            raise StartError(
                f"train.init: the released {self.name} network has another shape than "
                f"train.{self.name} gives it: use its params.json's params, or init: scratch."
            ) from error

    @abstractmethod
    def training_sample(self) -> Sample:
        """The augmented view that the network trains on."""

    @abstractmethod
    def validation_sample(self) -> Sample:
        """The plain view that it is scored on."""

    @abstractmethod
    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """An RGB uint8 contact sheet of the network's answers to a validation batch."""

    def trained(self) -> nn.Module:
        """The network to store."""
        return self.network

    def train_dataloader(self) -> DataLoader:
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
        dataset = Fixed(self._splits[1], self.validation_sample(), _VALIDATION_FACES)
        return loader(dataset, 0, batch_size=self.params.batch_size)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        words = [self._seed, self.current_epoch, batch_idx, self.trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))

    def configure_optimizers(self) -> dict:
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
        """Log training losses by epoch, the mean of all processes; refuse one that is not finite
        by showing them all.

        They are averaged here: Lightning would do it when a callback asks for them, which the first
        process's alone do, and wait for the others for ever.
        """
        values = torch.stack([loss.detach() for loss in losses.values()])
        values = self.trainer.strategy.reduce(values, reduce_op="mean")
        shown = {f"train/{name}": value for name, value in zip(losses, values, strict=True)}
        if not values.isfinite().all():
            named = {name: float(value) for name, value in shown.items()}
            raise FloatingPointError(f"{self.name}: a loss is not finite: {named}")
        self.log_dict(shown, on_step=False, on_epoch=True)
