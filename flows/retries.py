"""When a task is retried: after a server or storage did not answer, never after a defect."""

from collections.abc import Callable
from errno import EIO
from typing import Any, TypedDict

import httpx
from prefect import State, Task
from prefect.cache_policies import NO_CACHE, CachePolicy
from prefect.client.schemas.objects import TaskRun
from prefect.tasks import exponential_backoff

from unmask.errors import TEMPORARY, is_of_storage


def is_temporary(error: object) -> bool:
    """Whether an error, or a stage's exit status in it, says that a server did not answer.

    EIO is a disk's error, and what s3fs makes of an S3 server's.
    """
    of_disk = isinstance(error, OSError) and error.errno == EIO
    of_storage = of_disk or (isinstance(error, Exception) and is_of_storage(error))
    of_mlflow = type(error).__module__.startswith("mlflow.") and _is_away(error)
    of_network = isinstance(error, ConnectionError | TimeoutError | httpx.TransportError)
    return of_storage or of_mlflow or of_network or getattr(error, "status", None) == TEMPORARY


def _is_away(error: Any) -> bool:
    from unmask.store import is_away  # MLflow takes seconds to import

    return bool(getattr(error, "error_code", None)) and is_away(error)


def _failed_temporarily(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return is_temporary(state.result(raise_on_failure=False))


class RetryPolicy(TypedDict):
    """The arguments of Prefect's `task` that say when it is retried and what is cached."""

    cache_policy: CachePolicy
    retries: int
    retry_delay_seconds: Callable[[int], list[float]]
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]


#: At most three retries, after about 5, 10 and 20 seconds; DVC caches, so Prefect does not.
RETRY_POLICY: RetryPolicy = {
    "cache_policy": NO_CACHE,
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_condition_fn": _failed_temporarily,
}
