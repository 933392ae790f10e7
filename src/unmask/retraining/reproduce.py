"""Reproduces a registered version: its code, params, data and weights, in a new folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo

from unmask.networks import packed_md5
from unmask.project import project_root
from unmask.registry.origin import CHANGED, COMMIT, LOCK, write_origin
from unmask.registry.versions import PACKED_MD5, RegistryError, find_version
from unmask.retraining.clone import CloneError, dvc, git, make_clone, pull_data, target_of
from unmask.store import connect


@dataclass(frozen=True)
class Reproduction:
    """A reproduced version.

    Attributes:
        folder: its project, with data and weights.
        packed_md5: of the weights and params of its four networks, equal to the registered one.
        rebuilt: the stages that had to run, since neither cache nor remote held their outs.
    """

    folder: Path
    packed_md5: str
    rebuilt: tuple[str, ...]


@dataclass(frozen=True)
class _Tracked:
    """A source of faces that DVC tracks, or a stage.

    Attributes:
        target: its name on DVC's command line.
        outs: relative to the project.
        is_source: whether it is a source, which no stage makes.
    """

    target: str
    outs: tuple[Path, ...]
    is_source: bool


def _tracked(folder: Path) -> list[_Tracked]:
    """The sources of a project, and the stages that make its data and weights."""
    with Repo(str(folder)) as repo:
        found = [
            _Tracked(
                target_of(stage),
                tuple(Path(out.fs_path).relative_to(folder) for out in stage.outs),
                stage.is_data_source,
            )
            for stage in repo.index.stages
        ]
    wanted = ("data", "models")
    return [t for t in found if t.is_source or (t.outs and t.outs[0].parts[0] in wanted)]


def _missing(folder: Path, tracked: list[_Tracked]) -> list[str]:
    return sorted(str(out) for t in tracked for out in t.outs if not (folder / out).exists())


def reproduce(version: str, out: Path) -> Reproduction:
    """Clone a version's commit and get exactly its data and weights; the user's files stay.

    What neither the DVC cache nor the remote holds is made again by its stages, which log to a
    tracking store in the clone.

    Args:
        version: its number.
        out: the folder to make, which must not exist.

    Raises:
        RegistryError: when there is no such version or no project's stages made it, when `out`
            exists, when a commit or data is missing, or when the weights come out different.
        CloneError: when git or DVC fails otherwise.
    """
    client, root = connect(), project_root()
    registered = find_version(client, version)
    tags = registered.tags
    if LOCK not in tags or registered.run_id is None:
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
        return _restore_outs(folder, version, tags)
    except BaseException:
        shutil.rmtree(folder)
        raise


def _restore_outs(folder: Path, version: str, tags: dict[str, str]) -> Reproduction:
    """Pull a clone's data and weights, run the stages whose outs are missing, and check the md5."""
    tracked = _tracked(folder)
    sources, stages = [t for t in tracked if t.is_source], [t for t in tracked if not t.is_source]
    print(f"version {version}: its data and weights, from the cache or the remote", flush=True)
    pull_data(folder, [t.target for t in tracked])
    rebuilt: list[str] = []
    missing_outs = _missing(folder, stages)
    if missing_sources := _missing(folder, sources):
        raise RegistryError(
            f"version {version} cannot be made again: neither the DVC cache nor a remote holds "
            f"{', '.join(missing_sources + missing_outs)}."
        )
    if missing_outs:
        own_store = f"sqlite:///{folder / 'mlflow.db'}"
        targets = [t.target for t in stages]
        print(f"version {version}: {', '.join(missing_outs)} anew, by the stages", flush=True)
        lines = dvc(
            folder, "repro", *targets, shown=True, MLFLOW_TRACKING_URI=own_store
        ).splitlines()
        rebuilt = [line.split("'")[1] for line in lines if line.startswith("Running stage '")]
    packed = packed_md5(folder / "models")
    if packed != tags[PACKED_MD5]:
        changed = tags.get(CHANGED)
        why = f"; its code had changes that no commit holds: {changed}" if changed else ""
        raise RegistryError(
            f"the networks made for version {version} have md5 {packed}, not the registered "
            f"{tags[PACKED_MD5]} (another machine, library or number of threads){why}."
        )
    return Reproduction(folder, packed, tuple(rebuilt))
