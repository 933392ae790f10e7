"""A clone of the project, in which stages run without touching the user's files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from unmask.errors import TEMPORARY, UnmaskError
from unmask.project import tracking_uri

_LAST_LINES = 8


class CloneError(UnmaskError):
    """A command of git or DVC that failed; the message holds its last lines."""


class StorageError(CloneError):
    """A storage of DVC that did not take or give data, and may when it is asked again."""

    status = TEMPORARY


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        told = " | ".join(said[-_LAST_LINES:])
        raise CloneError(
            f"{' '.join(command[-4:])} in {folder} ended with {done.returncode}: {told}"
        )
    return done.stdout


def git(folder: Path, *arguments: str) -> str:
    """Run git in a repository, without its optional writes; returns what it prints.

    Raises:
        CloneError: with its last lines, when it fails.
    """
    return _run(["git", *arguments], folder, {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}).strip()


def dvc(folder: Path, *arguments: str, **environment: str) -> str:
    """Run DVC in a project with that project's code; returns what it prints.

    Raises:
        CloneError: with its last lines, when it fails.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    return _run(command, folder, {**os.environ, **code_of(folder), **environment})


def code_of(folder: Path) -> dict[str, str]:
    """Environment in which the stages' `python` is this one and `unmask` the project's own code."""
    ours = {"PATH": Path(sys.executable).parent, "PYTHONPATH": folder / "src"}
    joined = {
        name: f"{first}{os.pathsep}{os.environ.get(name, '')}".rstrip(os.pathsep)
        for name, first in ours.items()
    }
    return {**joined, "PYTHONUNBUFFERED": "1"}


def absolute_tracking_uri(root: Path) -> str:
    """The tracking store of the project at `root`, as any working directory can name it."""
    uri = tracking_uri()
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        return f"sqlite:///{root / uri.removeprefix('sqlite:///')}"
    return uri if ":" in uri else str(root / uri)


def _storage(root: Path) -> tuple[Path, dict[str, str]]:
    """The project's DVC cache, and its remotes that are folders, by name."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        remotes = {name: remote["url"] for name, remote in repo.config["remote"].items()}
        folders = {name: url for name, url in remotes.items() if "://" not in url}
        return Path(repo.cache.local_cache_dir), folders


def make_clone(root: Path, folder: Path, commit: str) -> None:
    """Clone the project at a commit; DVC's cache, remotes and settings are the project's.

    Args:
        root: the project, which must be the top of its git repository.
        folder: the clone, which must not exist.

    Raises:
        CloneError: when git or DVC fails, e.g. because there is no such commit.
    """
    if Path(git(root, "rev-parse", "--show-toplevel")) != root.resolve():
        raise CloneError(f"{root} is not the top of its git repository, so it cannot be cloned.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    git(root, "clone", "--quiet", "--no-checkout", str(root), str(folder))
    try:
        git(folder, "checkout", "--quiet", "--detach", commit)
        for key, fallback in (("user.name", "unmask"), ("user.email", "unmask@localhost")):
            git(folder, "config", key, git(root, "config", "--default", fallback, "--get", key))
        with (folder / ".git" / "info" / "exclude").open("a") as file:
            file.write("/.unmask\n")  # a link, perhaps
        for key in ("commit.gpgsign", "tag.gpgsign"):
            git(folder, "config", key, "false")
        git(folder, "update-index", "--skip-worktree", ".dvc/config")  # ours is not committed
        for config in ("config", "config.local"):
            if (root / ".dvc" / config).is_file():
                shutil.copy(root / ".dvc" / config, folder / ".dvc")
        cache, folders = _storage(root)
        dvc(folder, "cache", "dir", "--local", str(cache))
        for name, url in folders.items():
            place = str((root / ".dvc" / url).resolve())
            dvc(folder, "remote", "modify", "--local", name, "url", place)
    except BaseException:
        shutil.rmtree(folder)
        raise


def default_remote(folder: Path) -> str | None:
    """Name of the remote that `dvc push` and `dvc pull` use, or None."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        return repo.config["core"].get("remote")


def get_data(folder: Path, targets: list[str]) -> None:
    """Put tracked data into a project, from the cache and, where there is one, the remote.

    What neither holds stays missing.

    Raises:
        StorageError: when the remote fails.
    """
    if not targets:
        return
    if default_remote(folder):
        _ask_remote(folder, "pull", "--allow-missing", *targets)
    else:
        dvc(folder, "checkout", "--allow-missing", *targets)


def put_data(folder: Path) -> None:
    """Push data and weights to the project's remote, if it has one.

    Raises:
        StorageError: when the remote fails.
    """
    if default_remote(folder):
        _ask_remote(folder, "push")


def _ask_remote(folder: Path, *command: str) -> None:
    try:
        dvc(folder, *command)
    except CloneError as error:
        raise StorageError(str(error)) from error
