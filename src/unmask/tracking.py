"""MLflow runs: one parent run per pipeline, with one child run per stage."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException
from PIL import Image
from ruamel.yaml import YAML

from unmask.errors import UnmaskError
from unmask.project import find_root, project_root, state_path, tracking_uri
from unmask.store import EXPERIMENT, artifact_root, connect, is_away, unusable

PIPELINE, STAGE, WEIGHTS = "unmask.pipeline_id", "unmask.stage", "unmask.weights_md5"
_PROCESS = "unmask.process"  # tag: host, process and seconds from the host's start to its own
_PARENT = "mlflow.parentRunId"


def _make_experiment(client: MlflowClient) -> None:
    """Make the experiment that runs are logged to, unless it is there, and the present one."""
    with FileLock(state_path("tracking.lock")):
        if client.get_experiment_by_name(EXPERIMENT) is None:
            root = artifact_root(tracking_uri())
            client.create_experiment(EXPERIMENT, artifact_location=root)
    mlflow.set_experiment(EXPERIMENT)


def pipeline_id() -> str:
    """UNMASK_PIPELINE_ID, else a hash of params.yaml and the package's code.

    The data is not hashed: params name its sources, and each run is tagged with the md5 of the
    data it read.
    """
    if name := os.environ.get("UNMASK_PIPELINE_ID"):
        return name
    root = project_root()
    hasher = sha256()
    for path in [root / "params.yaml", *sorted((root / "src").rglob("*.py"))]:
        if path.is_file():
            hasher.update(path.read_bytes())
    return hasher.hexdigest()[:12]


def git_commit() -> str:
    """Hash of the commit checked out at the project's root, or 'unknown' outside git."""
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=find_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def _experiment_id(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        raise UnmaskError(f"{tracking_uri()} has no experiment '{EXPERIMENT}': run a stage.")
    return experiment.experiment_id


def _tag_filter(tags: dict[str, str]) -> str:
    """MLflow's search expression for runs that carry all tags."""
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())


def find_run(client: MlflowClient, tags: dict[str, str], status: str | None = None) -> str | None:
    """Id of the newest run that carries all tags; None if there is none.

    Args:
        client: of the tracking store.
        tags: names to values.
        status: only runs of this one, e.g. 'FINISHED'; None takes any, failed ones too.
    """
    wanted = _tag_filter(tags) + (f" and attributes.status = '{status}'" if status else "")
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is None:
        return None
    found = client.search_runs(
        [experiment.experiment_id],
        wanted,
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return found[0].info.run_id if found else None


def parent_run(client: MlflowClient) -> str:
    """Id of the pipeline's parent run, found by pipeline id, or created with params.yaml logged.

    One of a stage that failed is found too: the next try of the stage belongs to it.
    """
    name = pipeline_id()
    tags = {PIPELINE: name, STAGE: "pipeline"}
    with FileLock(state_path("tracking.lock")):
        found = find_run(client, tags)
        if found is not None:
            return found
        run = client.create_run(
            _experiment_id(client),
            run_name=f"pipeline-{name}",
            tags={**tags, "unmask.git_commit": git_commit()},
        )
        params = flat(YAML(typ="safe").load(project_root() / "params.yaml"))
        client.log_batch(
            run.info.run_id, params=[Param(key, str(value)) for key, value in params.items()]
        )
        return run.info.run_id


def flat(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Nested params as one level of dotted keys, each after `prefix`."""
    result: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        result.update(flat(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return result


def _process_of_stage(number: int) -> str:
    """What the tag says of a process of this machine; one that is gone says less.

    Its start counts from the machine's, since both move when the clock is set.
    """
    try:
        since_boot = psutil.Process(number).create_time() - psutil.boot_time()
        return f"{socket.gethostname()} {number} {since_boot:.2f}"
    except psutil.NoSuchProcess:
        return f"{socket.gethostname()} {number}"


def _search(client: MlflowClient, wanted: str) -> list[Run]:
    """The runs that MLflow's expression finds, none before the first run of all."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], wanted)) if experiment else []


def end_killed_runs(client: MlflowClient) -> list[str]:
    """Mark runs as killed that are 'RUNNING' in the store, but whose process here is gone.

    A pipeline's run ends with its last stage's.

    Returns:
        The ids of the stages' runs.
    """
    running = _search(client, "attributes.status = 'RUNNING'")
    killed = [run for run in running if _was_killed(run.data.tags)]
    left = {run.data.tags.get(_PARENT) for run in running if run not in killed}
    parents = {run.data.tags[_PARENT] for run in killed} - left
    ended = [run.info.run_id for run in killed]
    for run_id in ended + [run.info.run_id for run in running if run.info.run_id in parents]:
        client.set_terminated(run_id, "KILLED")
    return ended


def _was_killed(tags: dict[str, str]) -> bool:
    host, _, process = tags.get(_PROCESS, "").partition(" ")
    here = host == socket.gethostname()
    return here and f"{host} {process}" != _process_of_stage(int(process.split()[0]))


def delete_pipeline(client: MlflowClient, parent: str) -> None:
    """Delete a pipeline's run with those of its stages; what is deleted already is passed over."""
    wanted = f"tags.`{_PARENT}` = '{parent}'"
    for run in _search(client, wanted):
        client.delete_run(run.info.run_id)
    try:
        client.delete_run(parent)
    except MlflowException as error:  # it is deleted already
        if is_away(error):
            raise


def delete_runs(client: MlflowClient, stage: str, before: datetime) -> int:
    """Delete the runs of a stage that started before a time; returns how many."""
    wanted = (
        f"{_tag_filter({STAGE: stage})} and attributes.start_time < {before.timestamp():.0f}000"
    )
    found = _search(client, wanted)
    for run in found:
        client.delete_run(run.info.run_id)
    return len(found)


class StageRun:
    """The MLflow run of one stage; every call writes to the store immediately.

    Attributes:
        id: id of the run.
        parent_id: id of the pipeline's parent run.
    """

    def __init__(self, client: MlflowClient, run_id: str, parent_id: str) -> None:
        """Wrap the run that is active in this process.

        Args:
            client: for calls on the parent run.
            run_id: id of the active run.
            parent_id: id of the pipeline's parent run.
        """
        self._client, self.id, self.parent_id = client, run_id, parent_id

    def params(self, tree: dict) -> None:
        """Log nested params under dotted keys."""
        mlflow.log_params(flat(tree))

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log metrics of one step in one call.

        Raises:
            FloatingPointError: naming the first metric that is not finite.
        """
        for name, value in values.items():
            if not np.isfinite(value):
                raise FloatingPointError(f"metric '{name}' is {value} at step {step}")
        mlflow.log_metrics(values, step=step)

    def picture(self, image: np.ndarray, path: str) -> None:
        """Log a picture, RGB uint8 (H, W, 3), as artifact `path`."""
        mlflow.log_image(Image.fromarray(image), artifact_file=path)

    def text(self, text: str, path: str) -> None:
        """Log a text as artifact `path`."""
        mlflow.log_text(text, path)

    def file(self, path: Path, folder: str | None = None) -> None:
        """Log a file as an artifact, in `folder` of the run's artifacts if one is named."""
        mlflow.log_artifact(str(path), folder)

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags of the run."""
        mlflow.set_tags(tags)

    def dataset(self, labels: list[dict], name: str, digest: str, context: str) -> None:
        """Log the data that the stage read, as an MLflow dataset of its labels.

        Args:
            labels: one dict per face with at least id, gender, age and ethnicity.
            name: of the dataset.
            digest: md5 of the data, as hexadecimal digits.
            context: what it was read for, e.g. 'training'.
        """
        columns = {
            key: [label[key] for label in labels] for key in ("id", "gender", "age", "ethnicity")
        }
        frame = pd.DataFrame(columns).astype({"age": "float64"})
        table = from_pandas(frame, name=name, digest=digest[:36])
        mlflow.log_input(table, context=context)

    def file_to_parent(self, path: Path, folder: str = "pictures") -> None:
        """Log a file as an artifact of the pipeline's parent run, in `folder`."""
        self._client.log_artifact(self.parent_id, str(path), folder)

    def to_parent(self, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Log metrics and set tags on the pipeline's parent run."""
        stamp = mlflow.utils.time.get_current_time_millis()
        self._client.log_batch(
            self.parent_id, metrics=[Metric(k, v, stamp, 0) for k, v in metrics.items()]
        )
        for key, value in tags.items():
            self._client.set_tag(self.parent_id, key, value)


@contextmanager
def stage_run(stage: str, tags: dict[str, str], resume: str | None = None) -> Iterator[StageRun]:
    """Open a stage's run as a child of the pipeline's parent run.

    The parent's status follows its latest stage; both runs end FAILED when the body raises.

    Args:
        stage: as dvc.yaml names it, e.g. 'train@gender', or 'gate' or 'monitor'.
        tags: of the run, e.g. the md5 of the data.
        resume: id of the run to continue, as after an interrupted training; a new run is started
            where that was deleted.

    Yields:
        The run to log to.

    Raises:
        UnmaskError: when the store cannot be used.
    """
    client = connect(create=True)
    _make_experiment(client)
    mlflow.set_system_metrics_sampling_interval(30)
    try:
        end_killed_runs(client)
        parent = parent_run(client)
        if resume is not None:
            try:
                if client.get_run(resume).info.lifecycle_stage != "active":
                    resume = None
            except MlflowException:
                resume = None
        client.update_run(parent, "RUNNING")
        try:
            with mlflow.start_run(
                run_id=resume,
                run_name=None if resume else stage,
                tags={
                    _PARENT: parent,
                    STAGE: stage,
                    PIPELINE: pipeline_id(),
                    "unmask.git_commit": git_commit(),
                    _PROCESS: _process_of_stage(os.getpid()),
                    **tags,
                },
                log_system_metrics=True,
            ) as active:
                run = StageRun(client, active.info.run_id, parent)
                lock = project_root() / "dvc.lock"
                if lock.is_file():
                    run.file(lock)
                yield run
        except BaseException:
            with suppress(MlflowException):  # the error of the body must not be hidden
                client.set_terminated(parent, "FAILED")
            raise
        client.set_terminated(parent, "FINISHED")
    except MlflowException as error:
        if is_away(error):
            raise unusable(tracking_uri(), error) from error
        raise
