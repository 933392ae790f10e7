"""The project's root, its MLflow store, paths and URLs, atomic writes of files and folders."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from typing import cast

from unmask.errors import UnmaskError

_STAGES = b"unmask.stages."  # the modules that dvc.yaml runs
_LONGEST_NAME = 255  # bytes, that file systems take


class ProjectError(UnmaskError):
    """No project where one is needed; the message says where it was looked for."""


def find_root() -> Path | None:
    """The project's folder at or above the working directory, or None outside any project.

    Its dvc.yaml runs this package's stages; another one is another project's, and so is the MLflow
    store beside it.
    """
    here = Path.cwd().resolve()
    return next((folder for folder in (here, *here.parents) if _is_project(folder)), None)


def _is_project(folder: Path) -> bool:
    try:
        return _STAGES in (folder / "dvc.yaml").read_bytes()
    except OSError:  # there is none, or it is another user's
        return False


def project_root() -> Path:
    """The project's folder at or above the working directory.

    Raises:
        ProjectError: outside any project.
    """
    root = find_root()
    if root is None:
        raise ProjectError(
            f"{Path.cwd()} lies in no project, since neither it nor a folder above it has a "
            "dvc.yaml with unmask's stages: change to a clone of the project."
        )
    return root


def in_project(path: str = ".") -> Path:
    """A path of the project, as the working directory names it: in the root just `path`.

    Args:
        path: relative to the root.

    Raises:
        ProjectError: outside any project.
    """
    return Path(os.path.relpath(project_root())) / path


def state_path(name: str) -> Path:
    """Where `name`, which may be deleted, is kept.

    That is in .unmask of the project's root or, outside any project, of the working directory.
    """
    return (in_project() if find_root() else Path()) / ".unmask" / name


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the URI of mlflow.db in the project's root.

    Raises:
        ProjectError: outside any project, where none is named.
    """
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    try:
        return f"sqlite:///{project_root() / 'mlflow.db'}"
    except ProjectError as error:
        raise ProjectError(f"{str(error).rstrip('.')}, or set MLFLOW_TRACKING_URI.") from error


def has_store() -> bool:
    """Whether there is an MLflow store, or MLFLOW_TRACKING_URI names a server.

    A command that only reads asks first, since opening a missing store would create it.
    """
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        file = sqlite_file(uri)
        return file is None or file.is_file()
    root = find_root()
    return root is not None and (root / "mlflow.db").is_file()


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store by its URI; None for a server."""
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:") else None


def is_url(path: Path | str) -> bool:
    """Whether a path lies in a bucket or another storage with a URL."""
    return "://" in str(path)


def located(path: str) -> Path:
    """A path of this machine, or one like it for what a URL such as s3://bucket/folder names.

    Raises:
        UnmaskError: when nothing knows such URLs.
    """
    if not is_url(path):
        return Path(path)
    from upath import UPath

    try:
        return cast(Path, UPath(path, use_listings_cache=False))  # of the same interface
    except ValueError as error:
        raise UnmaskError(f"{path} cannot be read: {error}: use a path, or s3://bucket.") from error


def md5_of(files: Iterable[Path]) -> str:
    """One md5 over the bytes of files, in order."""
    hasher = md5()
    for file in files:
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file atomically: it appears complete or not at all, as an object of a bucket does.

    Raises:
        OSError: naming the file, e.g. when the disk is full.
    """
    if is_url(path):
        path.write_bytes(content)
        return
    partial = path.with_name(f".{path.name}.partial")
    if len(os.fsencode(partial.name)) > _LONGEST_NAME:
        partial = path.with_name(f".{md5(os.fsencode(path.name)).hexdigest()}.partial")
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
