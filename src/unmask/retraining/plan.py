"""What a retraining starts from and changes, and the clone that it works in."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from unmask.config.params import Params, load_params
from unmask.config.profiles import add_sources, change_params
from unmask.errors import UnmaskError
from unmask.faces.folder import TABLES
from unmask.retraining.clone import (
    dvc,
    get_data,
    git,
    make_clone,
)
from unmask.retraining.drops import Drop, DropError, Records, drops_in, take
from unmask.retraining.new_faces import judge_faces, known_faces

BRANCHES = "retrain"
STATE = Path(".unmask/retrain")  # the clone of a retraining that is under way
RECORDS = Path(".unmask/drops")  # what became of the folders of new faces
_SOURCES = "data/sources"


class RetrainError(UnmaskError):
    """A retraining that cannot start; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """What a retraining would do.

    Attributes:
        base: the commit it starts from.
        carried: a later state of an earlier retraining, whose new data is taken over, or None.
        params: the text of params.yaml with the changes asked for.
        altered: whether that differs from the base's.
        drops: folders of new faces that no training saw yet and that were not refused.
    """

    base: str
    carried: str | None
    params: str
    altered: bool
    drops: tuple[Drop, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is no reason to retrain."""
        return not self.altered and not self.drops


def _contains(root: Path, commit: str, other: str) -> bool:
    return git(root, "merge-base", commit, other) == other


def _base(root: Path, champion: str | None) -> tuple[str, str | None]:
    """(commit to start from, state whose data is carried over).

    That is the champion's state where it contains the commit checked out, so that retrainings build
    on one another, but on none that was refused or rolled back; else the commit checked out, so
    that what the user commits counts. New data of the newest retrained state is carried over.
    """
    base = git(root, "rev-parse", "HEAD")
    if champion in git(root, "rev-list", "--all").split() and _contains(root, champion, base):
        base = champion
    newest = git(
        root, "for-each-ref", "--sort=-refname", "--count=1", "--format=%(objectname)",
        f"refs/heads/{BRANCHES}/",
    )  # fmt: skip
    return base, newest if newest and not _contains(root, base, newest) else None


def _was_taken(root: Path, drop: Drop) -> bool:
    """Whether a commit of any branch or tag versions the drop's data."""
    return bool(git(root, "log", "-1", "--all", "--format=%H", "--", f"{_SOURCES}/{drop.key}.dvc"))


def plan(
    root: Path, params: Params, changes: dict[str, object] | None, champion: str | None
) -> Plan:
    """What a retraining would start from and do; writes nothing.

    Args:
        root: the user's project.
        params: its params, of which `loop` counts; all others are the base's.
        changes: dotted names of declared params to values.
        champion: its commit, if there is one.

    Raises:
        ParamsError: for a change that is not declared or does not fit.
    """
    base, carried = _base(root, champion)
    before = git(root, "show", f"{base}:params.yaml") + "\n"
    after = change_params(before, changes or {}, params.loop.declared)
    records = Records(root / RECORDS)
    drops = [
        drop
        for drop in drops_in(root / params.loop.drop)
        if not _was_taken(root, drop)
        and not records.refused(drop)
        and records.attempts(drop) < params.loop.attempts
    ]
    return Plan(base, carried, after, after != before, tuple(drops))


def _carry(clone: Path, state: str) -> list[str]:
    """Take over the new data that another state has; returns its folders."""
    there = git(clone, "ls-tree", "--name-only", state, f"{_SOURCES}/").split("\n")
    lacking = [p for p in there if p.endswith(".dvc") and not (clone / p).exists()]
    for pointer in lacking:
        (clone / pointer).write_text(git(clone, "show", f"{state}:{pointer}") + "\n")
    named = YAML(typ="safe").load(git(clone, "show", f"{state}:params.yaml"))["faces"]["sources"]
    folders = {pointer.removesuffix(".dvc") for pointer in lacking}
    return [source["path"] for source in named if source.get("path") in folders]


def _version_sources(root: Path, clone: Path, params: Params) -> None:
    """Version the sources that params name and git does not know, as they are in the project."""
    for source in params.faces.sources:
        if source.path is None or Path(source.path).is_absolute():
            continue
        if not Path(source.path).is_relative_to(_SOURCES):
            raise RetrainError(
                f"the source {source.path} lies outside {_SOURCES}, so it cannot be versioned: "
                f"copy it there and correct faces.sources."
            )
        if (clone / source.path).exists():
            continue
        if (clone / f"{source.path}.dvc").is_file():
            raise RetrainError(
                f"the data of {source.path} is neither in the DVC cache nor in a remote: put it "
                "back by `dvc pull` or `dvc add`."
            )
        shutil.copytree(root / source.path, clone / source.path)
        parts = [source.path]
        for table in (f"{source.path}{suffix}" for suffix in TABLES):  # where it lies beside
            if (root / table).is_file():
                shutil.copy(root / table, clone / table)
                parts.append(table)
        dvc(clone, "add", *parts)


def prepare(root: Path, clone: Path, plan: Plan) -> list[Drop]:
    """Clone the base, judge the new faces, add the good ones as sources, and commit it all.

    The reports on new faces are kept under .unmask/drops of the user's project.

    Args:
        clone: where to; its branch is retrain/<its name>.

    Returns:
        The drops that were accepted.

    Raises:
        RetrainError: when a source cannot be versioned.
        StorageError: when DVC's remote does not give the data.
        CloneError: when git or DVC fails otherwise.
    """
    make_clone(root, clone, plan.base)
    git(clone, "checkout", "--quiet", "-b", f"{BRANCHES}/{clone.name}")
    paths = _carry(clone, plan.carried) if plan.carried else []
    file = clone / "params.yaml"
    file.write_text(add_sources(plan.params, paths))
    pointers = sorted((clone / _SOURCES).glob("*.dvc"))
    get_data(clone, [str(pointer.relative_to(clone)) for pointer in pointers])
    params = load_params(file)
    _version_sources(root, clone, params)
    accepted, known = [], known_faces(params, clone) if plan.drops else {}
    for drop in plan.drops:
        report = judge_faces(drop.folder, params, known)
        if report.accepted:
            path = f"{_SOURCES}/{drop.key}"
            try:
                take(drop, report, clone / path)
            except (DropError, FileNotFoundError) as error:  # is being written: next time
                print(error)
                continue
            dvc(clone, "add", path)
            file.write_text(add_sources(file.read_text(), [path]))
            accepted.append(drop)
            known = known_faces(load_params(file), clone)
        kept = Records(root / RECORDS).keep(drop, report)
        verdict = f"refused: {'; '.join(report.refusals)}" if report.refusals else "accepted"
        print(f"new faces {drop.folder.name}: {verdict}, see {kept / 'report.md'}")
    git(clone, "add", "--all")
    if git(clone, "status", "--porcelain"):
        git(clone, "commit", "--quiet", "-m", "Set params and data of a retraining")
    return accepted


def publish(clone: Path, version: str, reason: str) -> str:
    """Commit lock and figures, tag them model-vVERSION, and push both to the user's repository.

    Branch and tag appear together or not at all; what is checked out there stays.

    Returns:
        The commit.
    """
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "-m", f"Retrain: {reason}")
    tag = f"model-v{version}"
    refs = [f"refs/heads/{BRANCHES}/{clone.name}"]
    if git(clone, "tag", "--list", tag):
        if git(clone, "show", f"{tag}:dvc.lock") == git(clone, "show", "HEAD:dvc.lock"):
            tag = None  # the same weights again keep their first tag
        else:
            tag = f"{tag}-{clone.name}"  # of an earlier registry, whose numbers began anew
    if tag:
        git(clone, "tag", "-a", tag, "-m", f"unmask version {version}: {reason}")
        refs.append(f"refs/tags/{tag}")
    git(clone, "push", "--quiet", "--atomic", "origin", *refs)
    return git(clone, "rev-parse", "HEAD")
