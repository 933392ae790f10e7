"""What a training reports while it runs: printed lines, curves and sheets in MLflow, snapshots."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader

from unmask.config.params import NETWORKS
from unmask.config.restore import RESTORE
from unmask.networks import RELEASED
from unmask.tracking import StageRun
from unmask.training.module import NetworkModule

_EVERY = 1800  # seconds, between two sheets or snapshots of a long training


class Progress(L.Callback):
    """Prints one line an epoch with the scores and the time that remains."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._start, self._first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Print the line of the epoch."""
        if not trainer.is_global_zero:
            return
        module, epochs = cast(NetworkModule, pl_module), cast(int, trainer.max_epochs)
        done = trainer.current_epoch + 1
        spent = time.monotonic() - self._start
        left = spent / (done - self._first) * (epochs - done)
        loss = float(trainer.callback_metrics["train/loss"])
        scores = [
            f"{name} {float(score):.4f}"
            for name, score in trainer.callback_metrics.items()
            if name.startswith("val/")
        ]
        step = done * module.params.epoch_steps
        print(
            f"train {module.name}: step {step}/{module.params.steps}, loss {loss:.4f}, "
            f"{', '.join(scores)}, {left / 60:.1f} min left",
            flush=True,
        )


class Curves(L.Callback):
    """Logs losses and scores every epoch, and a contact sheet now and then.

    That is four times in a training and, in a long one, every half hour.

    Args:
        run: the MLflow run of the training.
    """

    def __init__(self, run: StageRun) -> None:
        self._run, self._shown = run, time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the epoch."""
        if not trainer.is_global_zero:
            return
        module, epochs = cast(NetworkModule, pl_module), cast(int, trainer.max_epochs)
        done = trainer.current_epoch + 1
        step = done * module.params.epoch_steps
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._run.metrics({**scores, "learning_rate": rate}, step)
        quarter = max(1, epochs // 4)
        late = time.monotonic() - self._shown > _EVERY
        if late or done % quarter == 0 or done == epochs:
            self._shown = time.monotonic()
            batch = next(iter(cast(DataLoader, trainer.val_dataloaders)))
            batch = {name: values.to(module.device) for name, values in batch.items()}
            module.eval()
            with torch.no_grad():
                self._run.picture(module.sheet(batch), f"sheets/{step:06d}.png")
            module.train()


class Snapshots(L.Callback):
    """Stores the network every half hour of a long training, to restore photos with it meanwhile.

    Beside it lie links to the other networks, or to the released ones where those are not trained.

    Args:
        store: writes the network to a folder.
        models: the folder of the trained networks.
        folder: where the snapshots go.
    """

    def __init__(
        self, store: Callable[[nn.Module, Path], object], models: Path, folder: Path
    ) -> None:
        self._store, self._models, self._folder = store, models, folder
        self._stored = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Store the network if half an hour has passed."""
        module = cast(NetworkModule, pl_module)
        if trainer.is_global_zero and time.monotonic() - self._stored > _EVERY:
            self._stored = time.monotonic()
            # links to what is gone, snapshots of a training that ended
            for name in (*NETWORKS, RESTORE):
                place, trained = self._folder / name, self._models / name
                if place.is_symlink():
                    place.unlink()
                shutil.rmtree(place, ignore_errors=True)
                if name != module.name:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to((trained if trained.exists() else RELEASED / name).resolve())
            self._store(module.trained(), self._folder / module.name)
