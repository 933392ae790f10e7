"""The project's root, its MLflow store, atomic writes of files and folders, and their md5."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path


def project_root() -> Path:
    """The folder of dvc.yaml at or above the working directory, else the working directory."""
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the URI of mlflow.db in the project's root."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def has_store() -> bool:
    """Whether an MLflow store exists or MLFLOW_TRACKING_URI names one.

    A command that only reads asks first, since opening a missing store would create it.
    """
    named = bool(os.environ.get("MLFLOW_TRACKING_URI"))
    return named or (project_root() / "mlflow.db").is_file()


def md5_of(files: Iterable[Path]) -> str:
    """One md5 over the bytes of files, in order."""
    hasher = md5()
    for file in files:
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: it appears complete or not at all.

    Raises:
        OSError: naming the file, e.g. when the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(f"{path} could not be written: {error.strerror}.") from error


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Write a folder atomically: it appears, or replaces the old one, when the body succeeds.

    After an error the old folder stays. What a killed process left half written is removed.

    Yields:
        An empty folder beside `folder` to write into.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
