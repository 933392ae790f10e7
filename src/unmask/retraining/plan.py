"""What a retraining starts from and changes, and the clone that it works in."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from unmask.config.params import Params, load_params
from unmask.config.profiles import add_sources, change_params, remove_sources
from unmask.errors import UnmaskError
from unmask.faces.folder import TABLES
from unmask.retraining.clone import dvc, git, is_kept, make_clone, pull_data
from unmask.retraining.drops import Drop, DropError, DropRecords, copy_good_faces, drops_in
from unmask.retraining.new_faces import judge_faces, known_hashes

BRANCHES = "retrain"  # a retraining's branch is retrain/<name of its clone>
SUBJECT = "Retrain: "  # what a retraining's last commit begins with, and the tip of its branch
CLONES = Path(".unmask/retrain")  # holds the clone of the retraining in progress
RECORDS = Path(".unmask/drops")  # holds `DropRecords`
_SOURCES = "data/sources"


@dataclass(frozen=True)
class Plan:
    """What a retraining would do.

    Attributes:
        base: the commit that it starts from.
        data_commit: the newest retrained commit, whose new data is added to the base's; None where
            the base has it all.
        params: the text of params.yaml with the requested changes.
        params_changed: whether that text differs from the base's.
        drops: folders of new faces that are in no training yet and were not refused.
    """

    base: str
    data_commit: str | None
    params: str
    params_changed: bool
    drops: tuple[Drop, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no reason to retrain."""
        return not self.params_changed and not self.drops


def _contains(root: Path, commit: str, other: str) -> bool:
    """Whether `other` is `commit` or an ancestor of it."""
    return git(root, "merge-base", commit, other) == other


def _base(root: Path, champion: str | None) -> tuple[str, str | None]:
    """The attributes `base` and `data_commit` of a `Plan`, given the champion's commit.

    The base is the champion's commit if that contains the one checked out: retrainings then build
    on one another, but not on a version that was refused or rolled back. Otherwise the base is the
    commit checked out, so that what the user committed since counts.
    """
    base = git(root, "rev-parse", "HEAD")
    known = git(root, "rev-list", "--all").split()
    if champion is not None and champion in known and _contains(root, champion, base):
        base = champion
    newest = git(
        root, "for-each-ref", "--sort=-refname", "--count=1", "--format=%(objectname)",
        f"refs/heads/{BRANCHES}/",
    )  # fmt: skip
    return base, newest if newest and not _contains(root, base, newest) else None


def _is_versioned(root: Path, drop: Drop) -> bool:
    """Whether a commit of any branch or tag has the drop's data as a source, and it is kept."""
    pointer = f"{_SOURCES}/{drop.key}.dvc"
    commit = git(root, "log", "-1", "--all", "--diff-filter=AM", "--format=%H", "--", pointer)
    return bool(commit) and is_kept(root, git(root, "show", f"{commit}:{pointer}"))


def make_plan(
    root: Path, params: Params, changes: dict[str, object] | None, champion: str | None
) -> Plan:
    """Find out what a retraining would start from and do; writes nothing.

    Args:
        root: the folder of the user's project.
        params: its params, of which only `loop` is used; all others come from the base commit.
        changes: new values by dotted names of params that `loop.declared` allows; None for none.
        champion: the commit that the champion was made from; None where there is none.

    Raises:
        UnmaskError: for a change that is not declared or does not fit.
    """
    base, data_commit = _base(root, champion)
    before = git(root, "show", f"{base}:params.yaml") + "\n"
    after = change_params(before, changes or {}, params.loop.declared)
    records = DropRecords(root / RECORDS)
    drops = [
        drop
        for drop in drops_in(root / params.loop.drop)
        if not _is_versioned(root, drop)
        and not records.was_refused(drop)
        and records.failed_attempts(drop) < params.loop.attempts
    ]
    return Plan(base, data_commit, after, after != before, tuple(drops))


def _add_data_of(clone: Path, commit: str) -> list[str]:
    """Add the .dvc files of sources that only another commit has; returns the sources' paths."""
    paths = git(clone, "ls-tree", "--name-only", commit, f"{_SOURCES}/").split("\n")
    lacking = [path for path in paths if path.endswith(".dvc") and not (clone / path).exists()]
    for pointer in lacking:
        (clone / pointer).parent.mkdir(parents=True, exist_ok=True)
        (clone / pointer).write_text(git(clone, "show", f"{commit}:{pointer}") + "\n")
    named = YAML(typ="safe").load(git(clone, "show", f"{commit}:params.yaml"))["faces"]["sources"]
    folders = {pointer.removesuffix(".dvc") for pointer in lacking}
    return [source["path"] for source in named if source.get("path") in folders]


def _leave_out_lost(root: Path, clone: Path) -> None:
    """Remove sources whose data no cache, remote or folder of the user's has; tells which."""
    file = clone / "params.yaml"
    lost = [
        source.path
        for source in load_params(file).faces.sources
        if source.path is not None
        and (clone / f"{source.path}.dvc").is_file()
        and not (clone / source.path).exists()
        and not (root / source.path).exists()
    ]
    for path in lost:
        (clone / f"{path}.dvc").unlink()
        print(f"the data of {path} is neither in the DVC cache nor in a remote: trained without it")
    file.write_text(remove_sources(file.read_text(), lost))


def _version_sources(root: Path, clone: Path, params: Params) -> None:
    """Add sources that params name and no commit has to DVC, copied from the user's project."""
    for source in params.faces.sources:
        if source.path is None or Path(source.path).is_absolute():
            continue
        if not Path(source.path).is_relative_to(_SOURCES):
            raise UnmaskError(
                f"the source {source.path} lies outside {_SOURCES}, so it cannot be versioned: "
                f"copy it there and correct faces.sources."
            )
        if (clone / source.path).exists():
            continue
        shutil.copytree(root / source.path, clone / source.path)
        parts = [source.path]
        for table in (f"{source.path}{suffix}" for suffix in TABLES):  # beside the folder
            if (root / table).is_file():
                shutil.copy(root / table, clone / table)
                parts.append(table)
        dvc(clone, "add", *parts)


def prepare(root: Path, clone: Path, plan: Plan) -> list[Drop]:
    """Clone the base, validate the new faces, add the good ones as sources, and commit it all.

    The reports on new faces are kept under .unmask/drops of the user's project.

    Args:
        root: the folder of the user's project.
        clone: the folder to make, which must not exist; its branch is retrain/<the folder's name>.
        plan: what to do.

    Returns:
        The drops that were accepted.

    Raises:
        UnmaskError: when a source cannot be versioned.
        RemoteError: when DVC's remote does not give the data.
        CloneError: when git or DVC fails otherwise.
    """
    make_clone(root, clone, plan.base)
    git(clone, "checkout", "--quiet", "-b", f"{BRANCHES}/{clone.name}")
    added = _add_data_of(clone, plan.data_commit) if plan.data_commit else []
    pointers = sorted((clone / _SOURCES).glob("*.dvc"))
    pull_data(clone, [str(pointer.relative_to(clone)) for pointer in pointers])
    file = clone / "params.yaml"
    file.write_text(add_sources(plan.params, added))
    _leave_out_lost(root, clone)
    params = load_params(file)
    _version_sources(root, clone, params)
    accepted, known = [], known_hashes(params, clone) if plan.drops else {}
    for drop in plan.drops:
        report = judge_faces(drop.folder, params, known)
        if report.accepted:
            path = f"{_SOURCES}/{drop.key}"
            try:
                copy_good_faces(drop, report, clone / path)
            except (DropError, FileNotFoundError) as error:  # still being written: left for later
                print(error)
                continue
            dvc(clone, "add", path)
            file.write_text(add_sources(file.read_text(), [path]))
            accepted.append(drop)
            known |= report.hashes_as(drop.key)
        record = DropRecords(root / RECORDS).save_report(drop, report)
        verdict = f"refused: {'; '.join(report.refusals)}" if report.refusals else "accepted"
        print(f"new faces {drop.folder.name}: {verdict}, see {record / 'report.md'}")
    git(clone, "add", "--all")
    if git(clone, "status", "--porcelain"):
        git(clone, "commit", "--quiet", "-m", "Set params and data of a retraining")
    return accepted


def publish(clone: Path, version: str, reason: str) -> str:
    """Commit lock and figures, tag them model-vVERSION, and push both to the user's repository.

    Branch and tag appear together or not at all; what is checked out there stays.

    Args:
        clone: the folder of the retraining, in which all stages ran.
        version: number of the version that it registered.
        reason: why it was retrained, for the messages of commit and tag.

    Returns:
        The commit's hash.
    """
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "-m", f"{SUBJECT}{reason}")
    refs = [f"refs/heads/{BRANCHES}/{clone.name}"]
    if tag := _new_tag(clone, version):
        git(clone, "tag", "-a", tag, "-m", f"unmask version {version}: {reason}")
        refs.append(f"refs/tags/{tag}")
    git(clone, "push", "--quiet", "--atomic", "origin", *refs)
    return git(clone, "rev-parse", "HEAD")


def _new_tag(clone: Path, version: str) -> str | None:
    """The tag to give a version, or None where the same dvc.lock has it already."""
    tag = f"model-v{version}"
    if not git(clone, "tag", "--list", tag):
        return tag
    if git(clone, "show", f"{tag}:dvc.lock") == git(clone, "show", "HEAD:dvc.lock"):
        return None
    return f"{tag}-{clone.name}"  # an earlier registry, which numbered from 1 too, has the other
