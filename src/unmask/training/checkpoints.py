"""The checkpoint that an interrupted training resumes from, keyed by params, data and code."""

import json
import os
import shutil
import sys
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path

import lightning as L

from unmask.config.params import NETWORKS
from unmask.errors import UnmaskError


def code_digest(networks: Collection[str]) -> str:
    """sha256 over the files of this package that the process has imported.

    Args:
        networks: those that take part; models, losses and training of others do not count.
    """
    others = {
        f"unmask.{package}.{name}"
        for package in ("models", "losses", "training")
        for name in NETWORKS
        if name not in networks
    }
    files = {
        Path(module.__file__)
        for name, module in sys.modules.items()
        if name.partition(".")[0] == "unmask" and module.__file__ and name not in others
    }
    hasher = sha256()
    for file in sorted(files):
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def key_of(section: dict, data: str, code: str) -> str:
    """A name for one training: 16 hexadecimal digits.

    Args:
        section: its params as JSON.
        data: digest of the data.
        code: digest of the code.
    """
    document = json.dumps([section, data, code], sort_keys=True)
    return sha256(document.encode()).hexdigest()[:16]


class Checkpoint(L.Callback):
    """Writes the whole state of the training after every epoch, in place of the last.

    Args:
        folder: of this training; holds `last.ckpt` and the id of its MLflow run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path | None:
        """The checkpoint to resume from, if there is one."""
        last = self.folder / "last.ckpt"
        return last if last.is_file() else None

    @property
    def run_id(self) -> str | None:
        """The MLflow run of the interrupted training, if there is one."""
        file = self.folder / "run_id"
        return file.read_text() if file.is_file() else None

    def remember_run(self, run_id: str) -> None:
        """Keep the run's id for a training that resumes this one."""
        (self.folder / "run_id").write_text(run_id)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Save; Lightning writes on the first process and waits on the others."""
        partial = self.folder / "partial.ckpt"
        try:
            trainer.save_checkpoint(partial)
        except RuntimeError as error:  # torch's way to say that the disk is full
            partial.unlink(missing_ok=True)
            raise UnmaskError(
                f"{partial} could not be written ({str(error).splitlines()[0]}): free some disk."
            ) from error
        if trainer.is_global_zero:
            os.replace(partial, self.folder / "last.ckpt")

    def delete(self) -> None:
        """Drop the checkpoint once the trained network is stored."""
        shutil.rmtree(self.folder)
