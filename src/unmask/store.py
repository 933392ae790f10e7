"""The MLflow store that a project or the environment names: opened, checked, never changed."""

import logging
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import mlflow
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.store.db.utils import _get_latest_schema_revision  # its command `db upgrade`'s

from unmask.errors import TEMPORARY, UnmaskError
from unmask.project import sqlite_file, state_path, tracking_uri

EXPERIMENT = "unmask"
_AWAY = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")

_LASTING = {  # what SQLite says where waiting does not help, and what does
    "disk is full": "free space on its disk",
    "disk I/O error": "look at its disk",
    "readonly database": "make the file and its folder writable",
    "unable to open database file": "make the file and its folder readable",
    "malformed": "it is damaged: restore it from a backup",
}


class StoreAwayError(UnmaskError):
    """The tracking store does not answer now, but may when it is tried again."""

    status = TEMPORARY


def is_away(error: MlflowException) -> bool:
    """Whether a store could not be reached, as opposed to refusing a request."""
    return error.error_code in _AWAY


def artifact_root(uri: str) -> str | None:
    """URI of the artifacts' folder of a SQLite store; None for a server, which has its own."""
    file = sqlite_file(uri)
    return None if file is None else (file.parent / "mlartifacts").as_uri()


def unusable(uri: str, error: Exception) -> UnmaskError:
    """The error of a store that does not answer, temporary where waiting helps."""
    reason = str(error).splitlines()[0][:120]
    for words, what_helps in _LASTING.items():
        if words in str(error):
            return UnmaskError(f"the MLflow store {uri} cannot be used ({reason}): {what_helps}.")
    helps = "start it, or correct or unset MLFLOW_TRACKING_URI"
    if "locked" in str(error):
        helps = "another process writes to it; try again"
    return StoreAwayError(f"the MLflow store {uri} cannot be used ({reason}): {helps}.")


def _check_answers(uri: str) -> None:
    """Make one request, so that a wrong address fails at once and not after MLflow's retries."""
    if uri.startswith("http"):
        try:
            urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()
        except HTTPError:
            pass  # it is reachable; MLflow handles the status
        except OSError as error:
            raise unusable(uri, error) from error


def connect(*, create: bool = False) -> MlflowClient:
    """The tracking store that the environment or the working directory names.

    It is opened the first time that it is named; whether it still answers is checked every time.
    Processes that start at once may all call it. Nothing is written to a store that exists, not
    even to make its schema a newer MLflow's.

    Args:
        create: whether a missing SQLite store is made; else that is an error.

    Raises:
        UnmaskError: when the store is missing, damaged or of another schema, cannot be reached, or
            was moved.
    """
    uri = tracking_uri()
    file = sqlite_file(uri)
    if file is not None and not create and not file.is_file():
        raise UnmaskError(
            f"there is no store {file} yet: run `make run`, or a stage by `dvc repro`."
        )
    _check_answers(uri)
    if mlflow.get_tracking_uri() != uri or not _still_answers(_open(uri), uri):
        _open.cache_clear()
    return _open(uri)


def _still_answers(client: MlflowClient, uri: str) -> bool:
    """Whether an open store is still the one that was opened; it may have been replaced."""
    file = sqlite_file(uri)
    if file is not None and not file.is_file():
        return False
    try:
        client.get_experiment_by_name(EXPERIMENT)
    except MlflowException as error:
        raise unusable(uri, error) from error
    return True


def _check_schema(file: Path) -> None:
    """Refuse a database that MLflow would migrate where it stands, or fail on at length.

    Raises:
        UnmaskError: when it is no store, damaged, or of another schema.
    """
    if not file.is_file() or not file.stat().st_size:
        return
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except (sqlite3.Error, TypeError) as error:
        if "locked" in str(error):
            raise unusable(f"sqlite:///{file}", error) from error
        raise UnmaskError(
            f"{file} is damaged or no MLflow store ({error}): move it away, or name another by "
            "MLFLOW_TRACKING_URI."
        ) from error
    if found != _get_latest_schema_revision():
        raise UnmaskError(
            f"{file} has the schema of another MLflow than {mlflow.__version__}: copy it, then run "
            f"`mlflow db upgrade sqlite:///{file}`."
        )


@lru_cache(maxsize=1)  # MLflow's own state is of one store too
def _open(uri: str) -> MlflowClient:
    """Open a store; safe when several processes start at once."""
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    file = sqlite_file(uri)
    lock = state_path("tracking.lock")
    lock.parent.mkdir(exist_ok=True)
    with FileLock(lock):
        if file is not None:
            _check_schema(file)
        mlflow.set_tracking_uri(uri)
        try:
            client = MlflowClient()
            experiment = client.get_experiment_by_name(EXPERIMENT)
        except MlflowException as error:
            raise unusable(uri, error) from error
    expected = artifact_root(uri)
    kept = f"{expected if experiment is None else experiment.artifact_location}/"
    # each experiment has a subfolder where a server made it in the same store
    if expected is not None and not kept.startswith(f"{expected}/"):
        raise UnmaskError(
            f"{uri} keeps its artifacts in {kept.rstrip('/')}, so it was moved or copied: move it "
            "back; or move mlflow.db away, and `unmask models sync` registers the project's "
            "networks anew. `--model release` restores photos without it."
        )
    return client
