"""What a training tells while it runs: lines for people, curves and sheets for MLflow."""

import time

import lightning as L
import torch

from unmask.training.module import NetworkModule
from unmask.training.tracking import StageRun


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
        score = float(trainer.callback_metrics[pl_module.monitor])
        step = done * pl_module.params.epoch_steps
        print(
            f"train {pl_module.name}: step {step}/{pl_module.params.steps}, loss {loss:.4f}, "
            f"{pl_module.monitor} {score:.4f}, {left / 60:.1f} min left",
            flush=True,
        )


class Curves(L.Callback):
    """Logs losses and scores every epoch, and a contact sheet four times a training."""

    def __init__(self, run: StageRun) -> None:
        self._run = run

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: NetworkModule) -> None:
        if not trainer.is_global_zero:
            return
        done = trainer.current_epoch + 1
        step = done * pl_module.params.epoch_steps
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        scores = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._run.metrics({**scores, "learning_rate": rate}, step)
        quarter = max(1, trainer.max_epochs // 4)
        if done % quarter == 0 or done == trainer.max_epochs:
            batch = next(iter(trainer.val_dataloaders))
            batch = {name: values.to(pl_module.device) for name, values in batch.items()}
            pl_module.eval()
            with torch.no_grad():
                self._run.picture(pl_module.sheet(batch), f"sheets/{step:06d}.png")
            pl_module.train()
