"""Versions that nobody wants any more: which they are, and how they are deleted."""

import os
import subprocess
import sys
from pathlib import Path

from unmask.errors import UnmaskError
from unmask.project import sqlite_file, tracking_uri
from unmask.registry.champions import history
from unmask.registry.origin import COMMIT
from unmask.registry.versions import NAME, find_version, kept_versions
from unmask.store import connect
from unmask.tracking import delete_pipeline

KEEP = "unmask.keep"  # tag of a version that a person wants kept, whatever its value


def wanted_versions(predecessors: int) -> set[str]:
    """Numbers of the versions that have an alias or the tag `unmask.keep`, or were champion lately.

    Args:
        predecessors: number of champions before the present one.
    """
    versions = kept_versions(connect())
    past = [change.version for change in history() if change.kind != "refuse"]
    lately = [number for number in dict.fromkeys(reversed(past)) if number in versions]
    marked = {number for number, one in versions.items() if one.aliases or KEEP in one.tags}
    return marked | set(lately[: 1 + predecessors])


def versions_of(commit: str) -> list[str]:
    """Numbers of the versions that come from a commit."""
    versions = kept_versions(connect())
    return [number for number, one in versions.items() if one.tags.get(COMMIT) == commit]


def delete_version(number: str) -> None:
    """Delete a version, its networks and the runs of the pipeline that registered it.

    Raises:
        RegistryError: when there is no such version.
    """
    client = connect()
    version = find_version(client, number)
    client.delete_model_version(NAME, number)
    if version.run_id:
        experiment = client.get_run(version.run_id).info.experiment_id
        wanted = f"source_run_id = '{version.run_id}'"
        for model in client.search_logged_models([experiment], wanted):
            client.delete_logged_model(model.model_id)
    if pipeline := version.tags.get("unmask.pipeline_run"):
        delete_pipeline(client, pipeline)


def collect_garbage(root: Path, days: float) -> None:
    """Have MLflow remove what was deleted that long ago, where its database can be reached.

    Args:
        root: the project's folder.
        days: since the deletion.

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
