"""Flow `retrain`: a new version from new data or changed params, in a clone of the project."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock
from prefect import State, flow, get_run_logger, runtime, task
from prefect.deployments import run_deployment
from prefect.states import Completed

from flows.promote import judge_challenger
from flows.retries import RETRY_POLICY, is_away
from flows.stages import new_pipeline, run_stages

if TYPE_CHECKING:
    from unmask.retraining.drops import Drop
    from unmask.retraining.plan import Plan


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """Wait until no other retraining of the project runs; clones that a killed one left are
    removed. Gives the folder for clones."""
    from unmask.retraining.plan import STATE

    clones = root / STATE
    clones.mkdir(parents=True, exist_ok=True)
    with FileLock(root / ".unmask" / "retrain.lock"):
        for left in clones.iterdir():
            shutil.rmtree(left)
        yield clones


@contextlib.contextmanager
def _working_in(root: Path, clone: Path) -> Iterator[None]:
    """Work in a clone with its code, and with the project's tracking store and state: a training
    that failed goes on when it is tried again, and the locks are the project's."""
    from unmask.retraining.clone import absolute_tracking_uri, code_of

    (clone / ".unmask").symlink_to(root / ".unmask")
    before = dict(os.environ)
    uri = absolute_tracking_uri(root)
    try:
        os.environ.update({**code_of(clone), "MLFLOW_TRACKING_URI": uri})
        with contextlib.chdir(clone):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@task(**RETRY_POLICY)
def find_champion() -> str | None:
    """The commit of the champion, before an hour of training finds that the store is away."""
    from unmask.registry.champions import commit_of_champion

    return commit_of_champion()


@task(**RETRY_POLICY)
def prepare(root: Path, clone: Path, plan: Plan) -> list[Drop]:
    """Make the clone, with its params and data; returns the new faces that were accepted."""
    from unmask.retraining import plan as retraining

    shutil.rmtree(clone, ignore_errors=True)  # of a try before this
    return retraining.prepare(root, clone, plan)


@task(**RETRY_POLICY)
def store_data(clone: Path) -> None:
    """Push data and weights to DVC's remote, if the project has one."""
    from unmask.retraining.clone import put_data

    put_data(clone)


@task
def publish(clone: Path, version: str, reason: str) -> str:
    """Commit, tag and push what was trained; returns the commit."""
    from unmask.retraining import plan as retraining

    commit = retraining.publish(clone, version, reason)
    get_run_logger().info(f"version {version} comes from retrain/{clone.name}, {commit[:12]}")
    return commit


@task(**RETRY_POLICY)
def note_origin(version: str, commit: str) -> None:
    """Say in the registry which commit a version comes from."""
    from unmask.registry.origin import note_commit
    from unmask.registry.versions import NAME
    from unmask.tracking import connect

    note_commit(connect(), NAME, version, commit)


def _reason(drops: list, changes: dict | None, drift: str | None) -> str:
    parts = [f"new faces {', '.join(d.key for d in drops)}"] if drops else []
    parts += [f"params {', '.join(sorted(changes))}"] if changes else []
    return " and ".join(parts) + (f", drift {drift}" if drift else "")


def _check_device() -> None:
    import torch

    from unmask.retraining.plan import RetrainError

    if not torch.cuda.is_available():
        raise RetrainError(
            "loop.pool is gpu, but this machine has no CUDA device: start the worker of the work "
            "pool gpu on one that has, or set loop.pool to unmask."
        )


@flow(name="retrain", log_prints=True)
def retrain(changes: dict | None = None, drift: str | None = None) -> State | str:
    """Train and register a new version if there is new validated data or a declared param changes.

    All is done in a clone under .unmask/retrain, which is removed at the end; branch, tag and
    version stay. Another retraining that runs is waited for. Where it fails the champion goes on
    serving, and new faces are tried again, `loop.attempts` times in all; a version that was made
    before it failed is judged by the flow `promote`.

    Args:
        changes: dotted names of declared params to values, as the drift event gives them.
        drift: the drift's id.

    Returns:
        The version, or the state 'nothing changed'.
    """
    from unmask.config.params import load_params
    from unmask.retraining import plan as retraining
    from unmask.retraining.drops import Records

    root, logger = Path.cwd(), get_run_logger()
    loop = load_params().loop
    if loop.pool == "gpu":
        if runtime.deployment.name == "retrain":
            given = {"changes": changes, "drift": drift}
            run = run_deployment("retrain/retrain-gpu", parameters=given, timeout=0)
            return Completed(message=f"handed to the work pool gpu as {run.name}")
        _check_device()
    with _alone(root) as clones:
        plan = retraining.plan(root, load_params(), changes, find_champion())
        if plan.nothing:
            return Completed(message="nothing changed: no new faces, and no param would differ")
        clone = clones / new_pipeline()
        records = Records(root / retraining.RECORDS)
        drops = []
        try:
            drops = prepare(root, clone, plan)
            if not drops and not plan.altered:
                return Completed(message="nothing changed: no new faces were accepted")
            reason = _reason(drops, changes if plan.altered else None, drift)
            logger.info(f"retraining for {reason}")
            with _working_in(root, clone):
                run_stages(clone)
                store_data(clone)
                registered = json.loads(Path("reports/registered.json").read_text())
                version = registered["version"]
                note_origin(version, publish(clone, version, reason))
                drops = []  # are versioned now; whatever fails from here on is about the version
                passed = judge_challenger(version, by_hand=loop.promote == "by_hand")
        except Exception as error:
            for drop in () if is_away(error) else drops:
                failed = records.count_failure(drop)
                logger.error(f"new faces {drop.key}: {failed} of {loop.attempts} trainings failed")
            raise
        finally:
            shutil.rmtree(clone, ignore_errors=True)
    if passed and loop.promote == "by_hand" and runtime.deployment.id:
        run_deployment("promote/promote", parameters={"version": version}, timeout=0)
    return version


if __name__ == "__main__":
    retrain()
