"""Versions that nobody wants any more: which they are, and how they are deleted."""

import os
import subprocess
import sys
from pathlib import Path

from unmask.errors import UnmaskError
from unmask.project import sqlite_file, tracking_uri
from unmask.registry.champions import champion_lock, history
from unmask.registry.origin import RETRAINING
from unmask.registry.versions import NAME, find_version, kept_versions
from unmask.store import connect
from unmask.tracking import delete_pipeline

KEEP = "unmask.keep"  # tag of a version that a person wants kept, whatever its value


def _wanted_versions(predecessors: int) -> set[str]:
    """Numbers of the versions that have an alias or the tag `unmask.keep`, or were champion lately.

    Args:
        predecessors: number of champions before the present one.
    """
    versions = kept_versions(connect())
    past = [change.version for change in history() if change.kind != "refuse"]
    lately = [number for number in dict.fromkeys(reversed(past)) if number in versions]
    marked = {number for number, one in versions.items() if one.aliases or KEEP in one.tags}
    return marked | set(lately[: 1 + predecessors])


def delete_versions(commit: str, predecessors: int) -> list[str] | None:
    """Delete the versions that a retraining made, with their networks and its runs.

    A promotion or rollback waits meanwhile.

    Args:
        commit: the retraining's.
        predecessors: number of champions before the present one that are kept.

    Returns:
        The numbers of those deleted; None where one is wanted, so that none was.
    """
    client = connect()
    with champion_lock():
        versions = kept_versions(client)
        made = [n for n, one in versions.items() if one.tags.get(RETRAINING) == commit]
        if _wanted_versions(predecessors) & set(made):
            return None
        for number in made:
            _delete_version(number)
        return made


def _delete_version(number: str) -> None:
    """Delete a version at last, so that an interrupted deletion is done at the next clean-up."""
    client = connect()
    version = find_version(client, number)
    if version.run_id:
        experiment = client.get_run(version.run_id).info.experiment_id
        wanted = f"source_run_id = '{version.run_id}'"
        for model in client.search_logged_models([experiment], wanted):
            client.delete_logged_model(model.model_id)
    if pipeline := version.tags.get("unmask.pipeline_run"):
        delete_pipeline(client, pipeline)
    client.delete_model_version(NAME, number)


def collect_garbage(root: Path, days: float) -> None:
    """Have MLflow remove what was deleted that long ago, where its database can be reached.

    Args:
        root: the project's folder.
        days: since the deletion.

    Raises:
        UnmaskError: with what it says at last, when it fails.
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
        raise UnmaskError(f"mlflow gc failed with {done.returncode}: {done.stderr.strip()[-300:]}.")
