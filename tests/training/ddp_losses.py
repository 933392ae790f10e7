"""Trains one network a few steps, in as many processes as torchrun starts, and writes its losses.

Usage: ddp_losses.py NETWORK PARAMS MASKED MODELS OUT
"""

import json
import sys
from pathlib import Path

import lightning as L
import torch
from torch import nn

from unmask.config.params import load_params
from unmask.datasets.cache import open_split
from unmask.training.train import make_module, make_trainer


class Recorder(L.Callback):
    """Keeps each step's losses, and batch norms at their stored statistics: those of a batch that
    is spread over processes need SyncBatchNorm, which torch has for GPUs only."""

    def __init__(self) -> None:
        self.losses: list[dict[str, float]] = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        for module in pl_module.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        named = trainer.callback_metrics.items()
        self.losses.append({k: float(v) for k, v in named if k.startswith("train/")})


def main() -> None:
    name, params, masked, models, out = sys.argv[1], *map(Path, sys.argv[2:])
    torch.set_num_threads(1)
    changes = {"steps": 4, "epoch_steps": 1, "batch_size": 4}
    if name == "gender":
        changes["dropout"] = 0.0  # each process drops its own
    read = load_params(params)
    section = getattr(read.train, name).model_copy(update=changes)
    augment = getattr(read.augment, name)
    train, val = (open_split(masked, split, out / "cache") for split in ("train", "val"))
    L.seed_everything(0, verbose=False)
    module = make_module(name, section, augment, train, val, 0, models)
    recorder = Recorder()
    trainer = make_trainer(section, [recorder])
    trainer.fit(module)
    if trainer.global_rank == 0:
        total = sum(float(p.double().square().sum()) for p in module.trained().parameters())
        answer = {"processes": trainer.world_size, "losses": recorder.losses, "weights": total}
        (out / f"{name}-{trainer.world_size}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
