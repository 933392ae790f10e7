"""MLflow runs: one parent a pipeline, one child a stage."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import mlflow
import numpy as np
import pandas as pd
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from PIL import Image
from ruamel.yaml import YAML

from unmask.errors import TEMPORARY, UnmaskError
from unmask.project import project_root, tracking_uri

EXPERIMENT = "unmask"
_AWAY = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")
PIPELINE, STAGE, WEIGHTS = "unmask.pipeline_id", "unmask.stage", "unmask.weights_md5"
_PARENT = "mlflow.parentRunId"


class TrackingError(UnmaskError):
    """A tracking store that cannot be used; the message says which and what to do."""


class StoreAwayError(TrackingError):
    """A tracking store that does not answer now, and may when it is asked again."""

    status = TEMPORARY


def is_away(error: MlflowException) -> bool:
    """Whether a store did not answer, in place of refusing what it was asked."""
    return error.error_code in _AWAY


def _artifact_root(uri: str) -> str | None:
    """Where a store that this process opens itself keeps artifacts; a server decides alone."""
    if not uri.startswith("sqlite:"):
        return None
    return (Path(uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()


def _unusable(uri: str, error: Exception) -> StoreAwayError:
    reason = str(error).splitlines()[0][:120]
    return StoreAwayError(
        f"the MLflow store {uri} cannot be used ({reason}): start it, or correct or unset "
        "MLFLOW_TRACKING_URI."
    )


def _check_answers(uri: str) -> None:
    """Ask a server once, so that a wrong address fails at once and not after MLflow's retries."""
    if uri.startswith("http"):
        try:
            urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()
        except HTTPError:
            pass  # it answers; what it says is MLflow's business
        except OSError as error:
            raise _unusable(uri, error) from error


def connect() -> MlflowClient:
    """Open the tracking store and make the experiment; safe when several processes start at once.

    Raises:
        TrackingError: when the server cannot be reached, or the store was moved.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = tracking_uri()
    _check_answers(uri)
    mlflow.set_tracking_uri(uri)
    state = project_root() / ".unmask"
    state.mkdir(exist_ok=True)
    with FileLock(state / "tracking.lock"):
        try:
            client = MlflowClient()
            experiment = client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                client.create_experiment(EXPERIMENT, artifact_location=_artifact_root(uri))
                experiment = client.get_experiment_by_name(EXPERIMENT)
        except MlflowException as error:
            raise _unusable(uri, error) from error
    expected = _artifact_root(uri)
    # a server over the same store gives each experiment a folder of its own
    if expected is not None and not f"{experiment.artifact_location}/".startswith(f"{expected}/"):
        raise TrackingError(
            f"{uri} keeps its artifacts in {experiment.artifact_location}, so it was moved or "
            "copied: move it back, or delete mlflow.db to start anew."
        )
    mlflow.set_experiment(EXPERIMENT)
    return client


def pipeline_id() -> str:
    """UNMASK_PIPELINE_ID, else a hash of params.yaml and the package's code.

    The data enters through both: its sources are named in params, and each run is tagged with
    the md5 of the data it read.
    """
    if name := os.environ.get("UNMASK_PIPELINE_ID"):
        return name
    root = project_root()
    whole = sha256()
    for path in [root / "params.yaml", *sorted((root / "src").rglob("*.py"))]:
        if path.is_file():
            whole.update(path.read_bytes())
    return whole.hexdigest()[:12]


def git_commit() -> str:
    """The commit checked out at the project's root, or 'unknown' outside git."""
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def _quoted(filters: dict[str, str]) -> str:
    return " and ".join(f"tags.`{key}` = '{value}'" for key, value in filters.items())


def find_run(client: MlflowClient, tags: dict[str, str]) -> str | None:
    """Id of the newest finished or running run that carries all tags."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    found = client.search_runs(
        [experiment.experiment_id],
        _quoted(tags),
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return found[0].info.run_id if found else None


def parent_run(client: MlflowClient) -> str:
    """Id of the pipeline's parent run, found by pipeline id or made with the whole params.yaml."""
    name = pipeline_id()
    tags = {PIPELINE: name, STAGE: "pipeline"}
    with FileLock(project_root() / ".unmask" / "tracking.lock"):
        found = find_run(client, tags)
        if found is not None:
            return found
        experiment = client.get_experiment_by_name(EXPERIMENT)
        run = client.create_run(
            experiment.experiment_id,
            run_name=f"pipeline-{name}",
            tags={**tags, "unmask.git_commit": git_commit()},
        )
        params = flat(YAML(typ="safe").load(project_root() / "params.yaml"))
        client.log_batch(
            run.info.run_id, params=[Param(key, str(value)) for key, value in params.items()]
        )
        return run.info.run_id


def flat(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Nested params as dotted keys."""
    result: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        result.update(flat(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return result


class StageRun:
    """The MLflow run of one stage; every call writes to it at once."""

    def __init__(self, client: MlflowClient, run_id: str, parent_id: str) -> None:
        self._client, self.id, self.parent_id = client, run_id, parent_id

    def params(self, tree: dict) -> None:
        """Log nested params under dotted keys."""
        mlflow.log_params(flat(tree))

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log metrics of one step in one call; values that are not finite are refused by name."""
        for name, value in values.items():
            if not np.isfinite(value):
                raise FloatingPointError(f"metric '{name}' is {value} at step {step}")
        mlflow.log_metrics(values, step=step)

    def picture(self, image: np.ndarray, path: str) -> None:
        """Log an RGB uint8 picture as artifact `path`."""
        mlflow.log_image(Image.fromarray(image), artifact_file=path)

    def text(self, text: str, path: str) -> None:
        """Log a text as artifact `path`."""
        mlflow.log_text(text, path)

    def file(self, path: Path, folder: str | None = None) -> None:
        """Log a file as it is."""
        mlflow.log_artifact(str(path), folder)

    def tag(self, tags: dict[str, str]) -> None:
        """Set tags."""
        mlflow.set_tags(tags)

    def dataset(self, labels: list[dict], name: str, digest: str, context: str) -> None:
        """Log what data the stage read, as an MLflow dataset of its labels."""
        columns = {
            key: [label[key] for label in labels] for key in ("id", "gender", "age", "ethnicity")
        }
        frame = pd.DataFrame(columns).astype({"age": "float64"})
        table = mlflow.data.from_pandas(frame, name=name, digest=digest[:36])
        mlflow.log_input(table, context=context)

    def file_to_parent(self, path: Path, folder: str = "pictures") -> None:
        """Log a file on the pipeline's parent run."""
        self._client.log_artifact(self.parent_id, str(path), folder)

    def to_parent(self, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Put metrics and tags on the pipeline's parent run."""
        stamp = mlflow.utils.time.get_current_time_millis()
        self._client.log_batch(
            self.parent_id, metrics=[Metric(k, v, stamp, 0) for k, v in metrics.items()]
        )
        for key, value in tags.items():
            self._client.set_tag(self.parent_id, key, value)


@contextmanager
def stage_run(stage: str, tags: dict[str, str], resume: str | None = None) -> Iterator[StageRun]:
    """Open a stage's run under its pipeline's parent, whose status follows its latest stage.

    Both end FAILED when the body raises.

    Args:
        stage: as dvc.yaml names it, e.g. 'train@gender'.
        tags: e.g. the md5 of the data.
        resume: id of the run that an interrupted training goes on in, if it still exists.
    """
    client = connect()
    parent = parent_run(client)
    if resume is not None:
        try:
            if client.get_run(resume).info.lifecycle_stage != "active":
                resume = None
        except MlflowException:
            resume = None
    mlflow.set_system_metrics_sampling_interval(30)
    try:
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
            with suppress(MlflowException):  # what failed counts, not that it cannot be noted
                client.set_terminated(parent, "FAILED")
            raise
        client.set_terminated(parent, "FINISHED")
    except MlflowException as error:
        if is_away(error):
            raise _unusable(tracking_uri(), error) from error
        raise
