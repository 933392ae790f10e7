"""A registered version made again: its code, params, data and weights, in a folder of their own."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from unmask.models.stored import packed_md5
from unmask.project import project_root
from unmask.registry.origin import CHANGED, COMMIT, LOCK, write_origin
from unmask.registry.versions import PACKED, RegistryError, find_version
from unmask.retraining.clone import CloneError, dvc, get_data, git, make_clone
from unmask.tracking import connect


@dataclass(frozen=True)
class Reproduction:
    """A version's project in `folder`; `rebuilt` are the stages that had to run."""

    folder: Path
    packed: str
    rebuilt: tuple[str, ...]


@dataclass(frozen=True)
class _Tracked:
    """Something that DVC tracks: how its command line names it, its outs, whether it is a source
    (else a stage makes it)."""

    target: str
    outs: tuple[Path, ...]
    source: bool


def _tracked(folder: Path) -> list[_Tracked]:
    """The sources of a project, and the stages that make its data and weights."""
    with Repo(str(folder)) as repo:
        found = [
            _Tracked(
                getattr(stage, "name", None) or stage.path_in_repo,
                tuple(Path(out.fs_path).relative_to(folder) for out in stage.outs),
                stage.is_data_source,
            )
            for stage in repo.index.stages
        ]
    made = ("data", "models")
    return [t for t in found if t.source or (t.outs and t.outs[0].parts[0] in made)]


def _missing(folder: Path, tracked: list[_Tracked]) -> list[str]:
    return sorted(str(out) for t in tracked for out in t.outs if not (folder / out).exists())


def reproduce(version: str, out: Path) -> Reproduction:
    """Clone a version's commit and get exactly its data and weights; the user's files stay.

    What neither the DVC cache nor the remote holds is made again by its stages, which log to a
    tracking store in the clone.

    Args:
        out: a folder that must not exist.

    Raises:
        RegistryError: for no such version, one that no project's stages made, or when something is
            missing; names what.
    """
    client, root = connect(), project_root()
    registered = find_version(client, version)
    tags = registered.tags
    if LOCK not in tags:
        raise RegistryError(
            f"version {version} does not come from a project's stages (it was imported, or made "
            "before dvc.lock was kept with each version), so there is nothing to make again."
        )
    if out.exists():
        raise RegistryError(f"{out} exists: name a new folder with -o, or remove it.")
    try:
        git(root, "cat-file", "-e", f"{tags[COMMIT]}^{{commit}}")
    except CloneError as error:
        raise RegistryError(
            f"commit {tags[COMMIT]} of version {version} is not in this repository: fetch it."
        ) from error
    folder = out.resolve()
    make_clone(root, folder, tags[COMMIT])
    try:
        write_origin(client, registered.run_id, folder)
        return _rebuilt(folder, version, tags)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _rebuilt(folder: Path, version: str, tags: dict[str, str]) -> Reproduction:
    tracked = _tracked(folder)
    sources, made = [t for t in tracked if t.source], [t for t in tracked if not t.source]
    get_data(folder, [t.target for t in tracked])
    rebuilt: list[str] = []
    gone = _missing(folder, made)
    if lost := _missing(folder, sources):
        raise RegistryError(
            f"version {version} cannot be made again: neither the DVC cache nor a remote holds "
            f"{', '.join(lost + gone)}."
        )
    if gone:
        own_store = f"sqlite:///{folder / 'mlflow.db'}"
        stages = [t.target for t in made]
        lines = dvc(folder, "repro", *stages, MLFLOW_TRACKING_URI=own_store).splitlines()
        rebuilt = [line.split("'")[1] for line in lines if line.startswith("Running stage '")]
    packed = packed_md5(folder / "models")
    if packed != tags[PACKED]:
        changed = tags.get(CHANGED)
        why = f"; its code had changes that no commit holds: {changed}" if changed else ""
        raise RegistryError(
            f"the networks made for version {version} have md5 {packed}, not the registered "
            f"{tags[PACKED]} (another machine, library or number of threads){why}."
        )
    return Reproduction(folder, packed, tuple(rebuilt))
