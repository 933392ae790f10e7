"""What is kept of retrainings, and what is deleted once it is old enough: versions, runs, data."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from unmask.config.params import Retention
from unmask.datasets.cache import bound_cache
from unmask.errors import UnmaskError
from unmask.locks import locked
from unmask.project import sqlite_file, tracking_uri
from unmask.registry.champions import history
from unmask.registry.origin import COMMIT
from unmask.registry.versions import NAME, kept_versions
from unmask.retraining.clone import RETRAINING_LOCK, collect_garbage, git
from unmask.retraining.plan import BRANCHES
from unmask.store import connect
from unmask.tracking import delete_pipeline, delete_runs, end_killed_runs

KEEP = "unmask.keep"  # tag of a version that a person wants kept, whatever its value
_BRANCH_TIME = "%Y%m%dT%H%M%SZ"  # of a retraining's branch, in UTC
_SHORTENED = (10_000_000, 1_000_000)  # bytes of a log from which it is cut, and that are left


@dataclass(frozen=True)
class _Retraining:
    """A branch that a retraining made.

    Attributes:
        name: of the branch.
        commit: its tip.
        started: when the retraining did.
    """

    name: str
    commit: str
    started: datetime


def clean_up(root: Path, retention: Retention) -> Iterator[str]:
    """Delete what retrainings left that is older than `retention.days` and not wanted any more.

    Kept are the champion and as many before it as `retention.predecessors` says, versions that
    have an alias or the tag `unmask.keep`, those that no retraining made, and the newest branch,
    from which later retrainings take new faces. A retraining at work is waited for.

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
        yield from _delete_retrainings(root, client, retention, before)
        if deleted := delete_runs(client, "monitor", before):
            yield f"{deleted} MLflow runs of the monitor were deleted"
        _collect_mlflow(root, retention.days)
        freed = bound_cache(root / ".unmask" / "cache", round(retention.cache_gigabytes * 1e9))
        yield f".unmask/cache: {freed / 1e6:.0f} MB of decoded faces were deleted"
    yield f"DVC: {collect_garbage(root).strip().splitlines()[-1]}"
    _delete_old_files(root, before)
    for log in sorted((root / ".unmask" / "logs").glob("*.log")):
        _shorten(log)


def _delete_retrainings(
    root: Path, client: MlflowClient, retention: Retention, before: datetime
) -> Iterator[str]:
    versions = kept_versions(client)
    wanted = _wanted(versions, retention.predecessors)
    for old in [one for one in _retrainings(root)[:-1] if one.started < before]:
        made = {n: v for n, v in versions.items() if v.tags.get(COMMIT) == old.commit}
        if made.keys() & wanted:
            continue
        for number, version in made.items():
            _delete_version(client, number, version)
            yield f"version {number} was deleted"
        tags = git(root, "tag", "--points-at", old.commit, "--list", "model-v*").split()
        git(root, "branch", "--quiet", "-D", old.name)
        if tags:
            git(root, "tag", "-d", *tags)
        yield f"branch {old.name} was deleted"


def _wanted(versions: dict[str, ModelVersion], predecessors: int) -> set[str]:
    """Numbers of the versions that have an alias, a person's tag or were champion lately."""
    past = [change.version for change in history() if change.kind != "refuse"]
    lately = [number for number in dict.fromkeys(reversed(past)) if number in versions]
    marked = {number for number, one in versions.items() if one.aliases or KEEP in one.tags}
    return marked | set(lately[: 1 + predecessors])


def _retrainings(root: Path) -> list[_Retraining]:
    """The branches of retrainings, the oldest first."""
    fields = "--format=%(refname:short) %(objectname)"
    lines = git(root, "for-each-ref", "--sort=refname", fields, f"refs/heads/{BRANCHES}/")
    found = []
    for name, commit in (line.split() for line in lines.splitlines()):
        try:
            started = datetime.strptime(name.removeprefix(f"{BRANCHES}/"), _BRANCH_TIME)
        except ValueError:  # a person's
            continue
        found.append(_Retraining(name, commit, started.replace(tzinfo=UTC)))
    return found


def _delete_version(client: MlflowClient, number: str, version: ModelVersion) -> None:
    """Delete a version, with its networks and the runs of its pipeline."""
    client.delete_model_version(NAME, number)
    if version.model_id:
        client.delete_logged_model(version.model_id)
    if pipeline := version.tags.get("unmask.pipeline_run"):
        delete_pipeline(client, pipeline)


def _collect_mlflow(root: Path, days: float) -> None:
    """Have MLflow remove what was deleted that long ago, where its database can be reached.

    Raises:
        UnmaskError: with its last line, when it fails.
    """
    store = os.environ.get("MLFLOW_BACKEND_STORE_URI")
    own = sqlite_file(tracking_uri()) or root / "mlflow.db"
    if store is None and not own.is_file():
        return
    command = [sys.executable, "-m", "mlflow", "gc", "--older-than", f"{days:g}d"]
    done = subprocess.run(
        [*command, "--backend-store-uri", store or f"sqlite:///{own}"],
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UnmaskError(f"mlflow gc failed: {done.stderr.strip().splitlines()[-1]}")


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
