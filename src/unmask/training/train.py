"""Trains one network and stores it."""

import os
from collections import Counter
from pathlib import Path
from typing import Literal

import lightning as L
import torch
from torch import nn

from unmask.config.params import Fit, Params
from unmask.config.section import Section
from unmask.datasets.cache import Split, open_split
from unmask.models.stored import load_network, save_network
from unmask.networks import RELEASED
from unmask.project import state_path
from unmask.tracking import WEIGHTS, stage_run
from unmask.training.checkpoints import Checkpoint, code_digest, key_of
from unmask.training.early_stopping import BestWeights
from unmask.training.gender import GenderModule
from unmask.training.inpainting import InpaintingModule
from unmask.training.landmarks import LandmarksModule
from unmask.training.module import NetworkModule
from unmask.training.progress import Curves, Progress, Snapshots
from unmask.training.segmentation import SegmentationModule

MODULES: dict[str, type[NetworkModule]] = {
    module.name: module
    for module in (GenderModule, LandmarksModule, SegmentationModule, InpaintingModule)
}


def make_module(
    name: str,
    params: Fit,
    augment: Section,
    train: Split,
    val: Split,
    seed: int,
    models: Path,
) -> NetworkModule:
    """The training module of network `name`.

    Args:
        name: one of MODULES.
        params: the section `train.<name>`.
        augment: the section `augment.<name>`.
        train: the faces that it trains on.
        val: the faces that it is scored on.
        seed: of all random choices.
        models: the folder of the trained networks, one of which may guide it.

    Raises:
        UnmaskError: when the one that guides it is missing or damaged.
    """
    workers = 4 if torch.cuda.is_available() else 0
    module = MODULES[name](params, augment, train, val, seed, workers)
    if module.guided_by is not None:
        module.follow(load_network(models / module.guided_by))
    return module


Precision = Literal["32-true", "bf16-mixed"]


def resolved_precision(precision: Precision | Literal["auto"]) -> Precision:
    """What `precision` means on this machine: `auto` is bf16 where the processor computes in it.

    A CPU without AVX512_BF16 emulates bf16: a convolution takes 4 to 10 times its time in fp32.
    """
    if precision != "auto":
        return precision
    fast = torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if fast else "32-true"


def make_trainer(params: Fit, callbacks: list[L.Callback]) -> L.Trainer:
    """A trainer of `params.steps` steps on the GPUs there are, else on the CPU.

    Where torchrun started this process, its processes on all nodes share each batch by DDP; else
    one process per GPU does.

    Args:
        params: the section `train.<name>`.
        callbacks: of Lightning.
    """
    gpus = torch.cuda.device_count()
    processes, nodes = max(1, gpus), 1
    if torch.distributed.is_torchelastic_launched():
        processes = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // processes
    return L.Trainer(
        accelerator="gpu" if gpus else "cpu",
        precision=resolved_precision(params.precision),
        max_epochs=-(-params.steps // params.epoch_steps),
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        devices=processes,
        num_nodes=nodes,
        # the discriminator joins late, and early steps leave it unused
        strategy="ddp_find_unused_parameters_true" if processes * nodes > 1 else "auto",
        sync_batchnorm=gpus > 0 and processes * nodes > 1,
    )


def train_network(
    name: str, params: Params, masked: Path, models: Path, cache: Path | None = None
) -> None:
    """Train a network on the masked faces and store it.

    An interrupted training of the same params, data and code resumes from its last epoch. With
    `patience` the network stored is that of the epoch with the best validation score.

    Args:
        name: one of MODULES.
        params: of the project.
        masked: the folder that stage `masked` wrote.
        models: the folder that the network is stored in, under its name.
        cache: the folder of decoded arrays; None takes the project's.
    """
    torch.set_num_threads(params.threads)
    section: Fit = getattr(params.train, name)
    views: Section = getattr(params.augment, name)
    train, val = open_split(masked, "train", cache), open_split(masked, "val", cache)
    L.seed_everything(params.seed, verbose=False)
    module = make_module(name, section, views, train, val, params.seed, models)
    start: dict[str, str] = {"init": params.train.init}
    if module.guided_by is not None:
        start["guide_md5"] = module.guide.weights_md5
    if params.train.init == "release":
        released = load_network(RELEASED / name)
        start["init_md5"] = released.weights_md5
        module.start_from(released)
    if section.compile:
        module.network.compile()
    resolved, augment = section.model_dump(mode="json"), views.model_dump(mode="json")
    data = train.digest + val.digest
    key = key_of(
        {**resolved, **start, "seed": params.seed, "augment": augment},
        data,
        code_digest((name, module.guided_by or name)),
    )
    checkpoint = Checkpoint(state_path("checkpoints") / f"{name}-{key}")
    best = BestWeights(module, section.patience) if section.patience is not None else None
    trainer = make_trainer(section, [*([best] if best else []), checkpoint, Progress()])
    if trainer.global_rank != 0:
        trainer.fit(module, ckpt_path=checkpoint.path, weights_only=False)
        return
    tags = {"unmask.data_md5": train.digest, "unmask.network": name}
    with stage_run(f"train@{name}", tags, checkpoint.run_id) as run:
        checkpoint.remember_run(run.id)
        run.params({"seed": params.seed, **start, **resolved, "augment": augment})
        run.dataset(train.labels, "masked", train.digest, "training")
        faces = Counter(label["source"] for label in train.labels)
        metadata = {
            "data_md5": train.digest,
            "faces": faces,
            "seed": params.seed,
            **start,
            "augment": augment,
        }

        def store(network: nn.Module, out: Path) -> str:
            return save_network(network, name, resolved, metadata, out)

        snapshots = Snapshots(store, models, state_path("snapshots"))
        trainer.callbacks[:0] = [Curves(run), snapshots]  # type: ignore[attr-defined]
        if checkpoint.path is not None:
            print(f"train {name}: going on from {checkpoint.path}", flush=True)
        trainer.fit(module, ckpt_path=checkpoint.path, weights_only=False)
        trained = best.restore() if best else module.trained()
        run.tag({WEIGHTS: store(trained, models / name)})
    checkpoint.delete()
