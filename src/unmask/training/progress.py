"""What a training tells while it runs: lines for people, curves and sheets for MLflow, networks."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import lightning as L
import torch
from torch import nn

from unmask.config.params import NETWORKS
from unmask.config.restore import RESTORE
from unmask.models.stored import RELEASED
from unmask.tracking import StageRun
from unmask.training.module import NetworkModule

_EVERY = 1800  # seconds, between two sheets or snapshots of a long training


class Progress(L.Callback):
    """Prints one line an epoch with the scores and the time that remains."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: NetworkModule) -> None:
        self._start, self._first = time.monotonic(), trainer.current_epoch

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: NetworkModule) -> None:
        if not trainer.is_global_zero:
            return
        done = trainer.current_epoch + 1
        spent = time.monotonic() - self._start
        left = spent / (done - self._first) * (trainer.max_epochs - done)
        loss = float(trainer.callback_metrics["train/loss"])
        scores = [
            f"{name} {float(score):.4f}"
            for name, score in trainer.callback_metrics.items()
            if name.startswith("val/")
        ]
        step = done * pl_module.params.epoch_steps
        print(
            f"train {pl_module.name}: step {step}/{pl_module.params.steps}, loss {loss:.4f}, "
            f"{', '.join(scores)}, {left / 60:.1f} min left",
            flush=True,
        )


class Curves(L.Callback):
    """Logs losses and scores every epoch, and a contact sheet four times a training and, of a
    long one, every half hour."""

    def __init__(self, run: StageRun) -> None:
        self._run, self._shown = run, time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: NetworkModule) -> None:
        if not trainer.is_global_zero:
            return
        done = trainer.current_epoch + 1
        step = done * pl_module.params.epoch_steps
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._run.metrics({**scores, "learning_rate": rate}, step)
        quarter = max(1, trainer.max_epochs // 4)
        late = time.monotonic() - self._shown > _EVERY
        if late or done % quarter == 0 or done == trainer.max_epochs:
            self._shown = time.monotonic()
            batch = next(iter(trainer.val_dataloaders))
            batch = {name: values.to(pl_module.device) for name, values in batch.items()}
            pl_module.eval()
            with torch.no_grad():
                self._run.picture(pl_module.sheet(batch), f"sheets/{step:06d}.png")
            pl_module.train()


class Snapshots(L.Callback):
    """Stores the network as it is, every half hour of a long training, so that photos can be
    restored with it: in `folder`, beside links to the other networks of `models`, or, where those
    are not trained yet, to the released ones.

    Args:
        store: writes the network to a folder.
    """

    def __init__(
        self, store: Callable[[nn.Module, Path], object], models: Path, folder: Path
    ) -> None:
        self._store, self._models, self._folder = store, models, folder
        self._stored = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: NetworkModule) -> None:
        if trainer.is_global_zero and time.monotonic() - self._stored > _EVERY:
            self._stored = time.monotonic()
            # links to what is gone, snapshots of a training that ended
            for name in (*NETWORKS, RESTORE):
                place, trained = self._folder / name, self._models / name
                if place.is_symlink():
                    place.unlink()
                shutil.rmtree(place, ignore_errors=True)
                if name != pl_module.name:
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to((trained if trained.exists() else RELEASED / name).resolve())
            self._store(pl_module.trained(), self._folder / pl_module.name)
