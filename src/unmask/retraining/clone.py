"""A clone of the project, in which stages run without touching the user's files."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from unmask.errors import TEMPORARY, UnmaskError
from unmask.locks import locked
from unmask.project import tracking_uri

RETRAINING_LOCK = ".unmask/retrain.lock"  # held while one is at work, whose data no branch names
_LAST_LINES = 8


class CloneError(UnmaskError):
    """A command of git or DVC that failed; the message holds its last lines."""


class RemoteError(CloneError):
    """A DVC remote that did not take or give data; the same command may succeed later."""

    status = TEMPORARY


def _run(
    command: list[str], folder: Path, environment: dict[str, str], *, shown: bool = False
) -> str:
    """What a command prints, which is shown as it comes where that takes long."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if shown else subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        if shown:
            printed, said = "".join(_echoed(process.stdout)), ""
        else:
            printed, said = process.communicate()
    if process.returncode:
        lines = [line.strip() for line in (printed + said).splitlines() if line.strip()]
        last = " | ".join(lines[-_LAST_LINES:])
        raise CloneError(
            f"{' '.join(command[-4:])} in {folder} ended with {process.returncode}: {last}"
        )
    return printed


def _echoed(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        print(line, end="", flush=True)
        yield line


def git(folder: Path, *arguments: str) -> str:
    """Run git in a repository without taking optional locks.

    Args:
        folder: in the repository.
        *arguments: of the command line, after `git`.

    Returns:
        What it prints, stripped.

    Raises:
        CloneError: with its last lines, when it fails.
    """
    return _run(["git", *arguments], folder, {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}).strip()


def dvc(folder: Path, *arguments: str, shown: bool = False, **environment: str) -> str:
    """Run DVC in a project, whose stages then run that project's code.

    Args:
        folder: the project's.
        *arguments: of the command line, after `dvc`.
        shown: whether what it prints is shown as it comes.
        **environment: further environment variables.

    Returns:
        What it prints.

    Raises:
        CloneError: with its last lines, when it fails.
    """
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", *arguments]
    environment = {**os.environ, **code_environment(folder), **environment}
    return _run(command, folder, environment, shown=shown)


def code_environment(folder: Path) -> dict[str, str]:
    """Environment variables for this Python interpreter and the code of the project in `folder`."""
    prepended = {"PATH": Path(sys.executable).parent, "PYTHONPATH": folder / "src"}
    joined = {
        name: f"{first}{os.pathsep}{os.environ.get(name, '')}".rstrip(os.pathsep)
        for name, first in prepended.items()
    }
    return {**joined, "PYTHONUNBUFFERED": "1"}


def absolute_tracking_uri(root: Path) -> str:
    """The tracking URI of the project at `root`, valid in any working directory."""
    uri = tracking_uri()
    if uri.startswith("sqlite:///") and not uri.startswith("sqlite:////"):
        return f"sqlite:///{root / uri.removeprefix('sqlite:///')}"
    return uri if ":" in uri else str(root / uri)


def _cache_and_remotes(root: Path) -> tuple[Path, dict[str, str]]:
    """The folder of the project's DVC cache, and the paths of its remotes on this machine."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        remotes = {name: remote["url"] for name, remote in repo.config["remote"].items()}
        folders = {name: url for name, url in remotes.items() if "://" not in url}
        return Path(repo.cache.local_cache_dir), folders


def make_clone(root: Path, folder: Path, commit: str) -> None:
    """Clone the project at a commit; DVC's cache, remotes and settings are the project's.

    Args:
        root: the project's folder, which must be the top of its git repository.
        folder: the clone, which must not exist yet.
        commit: anything that git resolves to a commit of the project.

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
            file.write("/.unmask\n")  # `/.unmask/` of .gitignore matches no symbolic link
        for key in ("commit.gpgsign", "tag.gpgsign"):
            git(folder, "config", key, "false")
        git(folder, "update-index", "--skip-worktree", ".dvc/config")  # never commit the copy below
        for config in ("config", "config.local"):
            if (root / ".dvc" / config).is_file():
                shutil.copy(root / ".dvc" / config, folder / ".dvc")
        cache, remotes = _cache_and_remotes(root)
        dvc(folder, "cache", "dir", "--local", str(cache))
        for name, path in remotes.items():
            absolute = str((root / ".dvc" / path).resolve())
            dvc(folder, "remote", "modify", "--local", name, "url", absolute)
    except BaseException:
        shutil.rmtree(folder)
        raise


def default_remote(folder: Path) -> str | None:
    """Name of the remote that `dvc push` and `dvc pull` use, or None."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        return repo.config["core"].get("remote")


def is_kept(root: Path, pointer: str) -> bool:
    """Whether the project's cache or remote still has what a .dvc file, given as text, names."""
    from dvc.repo import Repo

    names = [out["md5"] for out in YAML(typ="safe").load(pointer)["outs"]]
    if not names:
        return True
    with Repo(str(root)) as repo:
        stores = [repo.cache.local]
        if repo.config["core"].get("remote"):
            stores.append(repo.cloud.get_remote_odb())
        return all(any(store.exists(name) for store in stores) for name in names)


def collect_garbage(root: Path) -> str:
    """Delete data and weights that no branch, no tag and no file of the project names any more.

    Every retraining has a branch once it has ended, which is waited for, so what it was trained on
    stays.

    Args:
        root: the project's folder.

    Returns:
        What DVC says.

    Raises:
        CloneError: when DVC fails.
    """
    with locked(root / RETRAINING_LOCK, "a retraining"):
        return dvc(root, "gc", "--workspace", "--all-branches", "--all-tags", "--force")


def pull_data(folder: Path, targets: list[str]) -> None:
    """Check out tracked data in a project, from the cache and, where there is one, the remote.

    What neither holds stays missing.

    Args:
        folder: the project's.
        targets: stages, .dvc files or outs, as DVC's command line takes them.

    Raises:
        CloneError: naming an object of the cache whose bytes were changed, which DVC trusts.
        RemoteError: when the remote fails.
    """
    if not targets:
        return
    if damaged := _damaged_object(folder, targets):
        raise CloneError(
            f"{damaged[1]} in DVC's cache, of {damaged[0]}, is damaged: delete it, then run `dvc "
            "pull` where a remote has it, else make it again, or take it from a backup."
        )
    if default_remote(folder):
        _transfer(folder, "pull", "--allow-missing", *targets)
    else:
        dvc(folder, "checkout", "--allow-missing", *targets)


def target_of(stage: Any) -> str:
    """What DVC's command line calls a stage or a .dvc file, in the root of its project."""
    return getattr(stage, "name", None) or stage.path_in_repo


def _names_of(out: Any) -> Iterator[tuple[str, Path]]:
    """The names of an out's objects in DVC's cache, with their files, which need not exist."""
    if not out.hash_info:
        return
    name = out.hash_info.value
    path = Path(out.cache.oid_to_path(name))
    yield name, path
    if name.endswith(".dir") and path.is_file():
        for entry in json.loads(path.read_bytes()):
            yield entry["md5"], Path(out.cache.oid_to_path(entry["md5"]))


def _damaged_object(folder: Path, targets: list[str]) -> tuple[str, Path] | None:
    """An out of the targets, and a file of it in the cache whose bytes its name does not fit."""
    from dvc.repo import Repo

    with Repo(str(folder)) as repo:
        for out in (out for s in repo.index.stages if target_of(s) in targets for out in s.outs):
            for name, path in _names_of(out):
                if path.is_file():
                    with path.open("rb") as file:
                        if file_digest(file, "md5").hexdigest() != name.removesuffix(".dir"):
                            return str(out), path
    return None


def delete_data(root: Path, removed: list[str], message: str) -> int:
    """Delete from the project's cache what only commits of retrainings name that nobody wants.

    Every other commit that a ref leads to keeps its data, and so do the project's files.

    Args:
        root: the project's folder.
        removed: hashes of those commits, whose branches are gone; they may be others' ancestors.
        message: what the subjects of such commits begin with.

    Returns:
        The bytes that were freed.
    """
    from dvc.repo import Repo

    refs = set(git(root, "for-each-ref", "--format=%(objectname) %(*objectname)").split())
    log = git(root, "log", "--all", "HEAD", "--format=%H %s").splitlines()
    commits = [line.partition(" ")[::2] for line in log]
    kept = [name for name, subject in commits if name in refs or not subject.startswith(message)]

    def objects(revisions: list[str], *, workspace: bool) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for _ in repo.brancher(revs=revisions, workspace=workspace):
            for out in (out for stage in repo.index.stages for out in stage.outs):
                found.update(_names_of(out))
        return found

    with Repo(str(root)) as repo:
        unwanted = objects(removed, workspace=False)
        for name in objects(kept, workspace=True).keys() & unwanted.keys():
            del unwanted[name]
    freed = 0
    for path in unwanted.values():
        if path.is_file():
            freed += path.stat().st_size
            path.unlink()
    return freed


def push_data(folder: Path) -> None:
    """Push data and weights to the project's remote, if it has one.

    Raises:
        RemoteError: when the remote fails.
    """
    if default_remote(folder):
        _transfer(folder, "push")


def _transfer(folder: Path, *command: str) -> None:
    try:
        dvc(folder, *command)
    except CloneError as error:
        raise RemoteError(str(error)) from error
