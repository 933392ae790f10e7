"""What is kept of retrainings, and what is deleted once it is old enough: versions, runs, data."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from unmask.config.params import Retention
from unmask.datasets.cache import bound_cache
from unmask.locks import locked
from unmask.registry import removal
from unmask.retraining.clone import RETRAINING_LOCK, delete_data, git
from unmask.retraining.plan import BRANCHES, SUBJECT
from unmask.store import connect
from unmask.tracking import delete_runs, end_killed_runs

_BRANCH_TIME = "%Y%m%dT%H%M%SZ"  # of a retraining's branch, in UTC
_SHORTENED = (10_000_000, 1_000_000)  # bytes of a log from which it is cut, and that are left


@dataclass(frozen=True)
class _Retraining:
    """A branch that a retraining made, and nobody went on from.

    Attributes:
        name: of the branch.
        commit: its tip, which the retraining made.
        started: when the retraining did.
    """

    name: str
    commit: str
    started: datetime


def clean_up(root: Path, retention: Retention) -> Iterator[str]:
    """Delete what retrainings left that is older than `retention.days` and not wanted any more.

    Kept are the champion and as many before it as `retention.predecessors` says, versions that
    have an alias or the tag `unmask.keep`, those that no retraining made, branches that are checked
    out or that somebody went on from, and the newest one, from which later retrainings take new
    faces. A retraining at work is waited for.

    Args:
        root: the project's folder.
        retention: how long, and how much.

    Yields:
        A sentence for each thing that was done.

    Raises:
        UnmaskError: when the store, git or DVC fails.
    """
    before = datetime.now(UTC) - timedelta(days=retention.days)
    with locked(root / RETRAINING_LOCK, "a retraining"):
        client = connect(create=True)
        if killed := end_killed_runs(client):
            yield f"{len(killed)} MLflow runs of killed stages were ended"
        removed = []
        for old in [one for one in _retrainings(root) if one.started < before]:
            versions = removal.delete_versions(old.commit, retention.predecessors)
            if versions is not None:
                _delete_branch(root, old)
                removed.append(old.commit)
                numbers = ", ".join(versions) or "none"
                yield f"branch {old.name} was deleted, and its versions: {numbers}"
        if deleted := delete_runs(client, "monitor", before):
            yield f"{deleted} MLflow runs of the monitor were deleted"
        removal.collect_garbage(root, retention.days)
        if removed:
            freed = delete_data(root, removed, SUBJECT)
            yield f"{freed / 1e6:.0f} MB of their data and weights were deleted from DVC's cache"
        if freed := bound_cache(root / ".unmask" / "cache", round(retention.cache_gigabytes * 1e9)):
            yield f"{freed / 1e6:.0f} MB of decoded faces were deleted from .unmask/cache"
    _delete_old_files(root, before)
    for log in sorted((root / ".unmask" / "logs").glob("*.log")):
        _shorten(log)


def _retrainings(root: Path) -> list[_Retraining]:
    """The branches of retrainings but the newest and those that are somebody's, oldest first."""
    fields = "--format=%(refname:short)%09%(objectname)%09%(worktreepath)%09%(subject)"
    lines = git(root, "for-each-ref", "--sort=refname", fields, f"refs/heads/{BRANCHES}/")
    found = []
    for line in lines.splitlines():
        name, commit, checked_out, subject = line.split("\t", 3)
        try:
            started = datetime.strptime(name.removeprefix(f"{BRANCHES}/"), _BRANCH_TIME)
        except ValueError:  # a person's
            continue
        own = subject.startswith(SUBJECT) and not checked_out
        found.append(_Retraining(name, commit, started.replace(tzinfo=UTC)) if own else None)
    return [one for one in found[:-1] if one is not None]


def _delete_branch(root: Path, old: _Retraining) -> None:
    """Delete a retraining's branch and the tags of its versions."""
    tags = git(root, "tag", "--points-at", old.commit, "--list", "model-v*").split()
    git(root, "branch", "--quiet", "-D", old.name)
    if tags:
        git(root, "tag", "-d", *tags)


def _delete_old_files(root: Path, before: datetime) -> None:
    """Delete checkpoints and summaries of faces that nothing has touched for so long."""
    for pattern in ("checkpoints/*/*", "batches/*.parquet"):
        for file in (root / ".unmask").glob(pattern):
            if file.stat().st_mtime < before.timestamp():
                file.unlink(missing_ok=True)


def _shorten(log: Path) -> None:
    """Leave only the end of a long log, which its service goes on appending to."""
    longest, left = _SHORTENED
    if log.stat().st_size > longest:
        with log.open("r+b") as file:
            file.seek(-left, os.SEEK_END)
            end = file.read().partition(b"\n")[2]
            file.seek(0)
            file.write(end)
            file.truncate()
