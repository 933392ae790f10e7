"""Flow `retrain`: a new version from new data or changed params, in a clone of the project."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prefect import State, flow, get_run_logger, runtime, task
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed

from flows.promote import judge_challenger
from flows.retries import RETRY_POLICY, is_temporary
from flows.stages import new_pipeline, run_stages
from unmask.locks import locked
from unmask.project import project_root

if TYPE_CHECKING:
    from unmask.retraining.drops import Drop
    from unmask.retraining.plan import Plan


@contextlib.contextmanager
def _exclusive(root: Path) -> Iterator[Path]:
    """Wait until no other retraining of the project runs, and keep others waiting meanwhile.

    Clones that a killed retraining left are removed.

    Yields:
        The folder for clones.
    """
    from unmask.retraining.clone import RETRAINING_LOCK
    from unmask.retraining.plan import CLONES

    clones = root / CLONES
    clones.mkdir(parents=True, exist_ok=True)
    with locked(root / RETRAINING_LOCK, "a retraining"):
        for left in clones.iterdir():
            if left.is_dir():  # a file manager's .DS_Store is none
                shutil.rmtree(left)
        yield clones


@contextlib.contextmanager
def _working_in(root: Path, clone: Path) -> Iterator[None]:
    """Make a clone the working directory, with its own code but the project's tracking store.

    Its .unmask is the project's too, so that the locks are shared and a training that failed
    resumes from its checkpoint when it is retried.
    """
    from unmask.retraining.clone import absolute_tracking_uri, code_environment

    (clone / ".unmask").symlink_to(root / ".unmask")
    before = dict(os.environ)
    uri = absolute_tracking_uri(root)
    try:
        os.environ.update({**code_environment(clone), "MLFLOW_TRACKING_URI": uri})
        with contextlib.chdir(clone):
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@task(**RETRY_POLICY)
def find_champion() -> str | None:
    """The commit of the champion; fails early, before the training, if the store is down."""
    from unmask.registry.champions import commit_of_champion

    return commit_of_champion()


@task(**RETRY_POLICY)
def prepare(root: Path, clone: Path, plan: Plan) -> list[Drop]:
    """Make the clone with its params and data.

    Args:
        root: the folder of the user's project.
        clone: the folder to make; replaced where an earlier attempt left it.
        plan: what to do.

    Returns:
        The folders of new faces that were accepted.
    """
    from unmask.retraining import plan as retraining

    shutil.rmtree(clone, ignore_errors=True)
    return retraining.prepare(root, clone, plan)


@task(**RETRY_POLICY)
def store_data(clone: Path) -> None:
    """Push data and weights to DVC's remote, if the project has one."""
    from unmask.retraining.clone import push_data

    push_data(clone)


@task
def publish(clone: Path, version: str, reason: str) -> str:
    """Commit, tag and push what was trained.

    Args:
        clone: the folder of the retraining.
        version: number of the version that it registered.
        reason: why it was retrained.

    Returns:
        The commit's hash.
    """
    from unmask.retraining import plan as retraining

    commit = retraining.publish(clone, version, reason)
    get_run_logger().info(f"version {version} comes from retrain/{clone.name}, {commit[:12]}")
    return commit


@task(**RETRY_POLICY)
def record_commit(version: str, commit: str) -> None:
    """Tag a version in the registry with the commit that it comes from, a retraining's."""
    from unmask.registry.origin import tag_retraining
    from unmask.registry.versions import NAME
    from unmask.store import connect

    tag_retraining(connect(), NAME, version, commit)


def _reason(drops: Sequence[Drop], changes: dict | None, drift: str | None) -> str:
    parts = [f"new faces {', '.join(d.key for d in drops)}"] if drops else []
    parts += [f"params {', '.join(sorted(changes))}"] if changes else []
    return " and ".join(parts) + (f", drift {drift}" if drift else "")


def _check_device() -> None:
    import torch

    from unmask.errors import UnmaskError

    if not torch.cuda.is_available():
        raise UnmaskError(
            "loop.pool is gpu, but this machine has no CUDA device: start the worker of the work "
            "pool gpu on one that has, or set loop.pool to unmask."
        )


@flow(name="retrain", log_prints=True)
def retrain(changes: dict | None = None, drift: str | None = None) -> State | str:
    """Train and register a new version if there is new validated data or a declared param changes.

    All is done in a clone under .unmask/retrain, which is removed at the end; branch, tag and
    version stay. It waits while another retraining runs. If it fails, the champion keeps serving,
    and a later run tries the new faces again, up to `loop.attempts` times; a version that was
    registered before the failure can be judged by the flow `promote`.

    Args:
        changes: new values by dotted names of params that `loop.declared` allows, as the drift
            event carries them; None for none.
        drift: id of the drift that started this run; None where none did.

    Returns:
        The version's number, or a state whose message says why nothing was trained here.
    """
    from unmask.config.params import load_params
    from unmask.retraining import plan as retraining
    from unmask.retraining.drops import DropRecords

    root, logger = project_root(), get_run_logger()
    loop = load_params().loop
    if loop.pool == "gpu":
        if runtime.deployment.name == "retrain":
            run = _start_deployment("retrain/retrain-gpu", {"changes": changes, "drift": drift})
            return Completed(message=f"handed to the work pool gpu as {run.name}")
        _check_device()
    with _exclusive(root) as clones:
        plan = retraining.make_plan(root, load_params(), changes, find_champion())
        if plan.is_empty:
            return Completed(message="nothing changed: no new faces, and no param would differ")
        clone = clones / new_pipeline()
        records = DropRecords(root / retraining.RECORDS)
        drops: list[Drop] = []
        try:
            drops = prepare(root, clone, plan)
            if not drops and not plan.params_changed:
                return Completed(message="nothing changed: no new faces were accepted")
            reason = _reason(drops, changes if plan.params_changed else None, drift)
            logger.info(f"retraining for {reason}")
            with _working_in(root, clone):
                run_stages(clone)
                store_data(clone)
                registered = json.loads((clone / "reports/registered.json").read_text())
                version = registered["version"]
                record_commit(version, publish(clone, version, reason))
                drops = []  # versioned now: what fails from here on is no fault of the new faces
                passed = judge_challenger(version, by_hand=loop.promote == "by_hand")
        except Exception as error:
            for drop in () if is_temporary(error) else drops:
                failed = records.count_failure(drop)
                logger.error(f"new faces {drop.key}: {failed} of {loop.attempts} trainings failed")
            raise
        finally:
            shutil.rmtree(clone, ignore_errors=True)
    if passed and loop.promote == "by_hand" and runtime.deployment.id:
        _start_deployment("promote/promote", {"version": version})
    return version


def _start_deployment(name: str, parameters: dict[str, Any]) -> FlowRun:
    """Start a run of a deployment without waiting for its end."""
    # returns no coroutine, as its type allows, where it is called from a flow that is not async
    return cast(FlowRun, run_deployment(name, parameters=parameters, timeout=0))


if __name__ == "__main__":
    retrain()
