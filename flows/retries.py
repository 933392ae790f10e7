"""When a task is tried again: where a server or storage is away, never where code is wrong."""

from errno import EIO

import httpx
from prefect.cache_policies import NO_CACHE
from prefect.tasks import exponential_backoff

from unmask.errors import TEMPORARY


def is_away(error: object) -> bool:
    """Whether an error says that something did not answer: itself, or by a stage's exit status.

    EIO is a disk's error, and what s3fs makes of an S3 server's.
    """
    botocore = type(error).__module__.startswith("botocore.")
    of_storage = botocore or (isinstance(error, OSError) and error.errno == EIO)
    broke_off = isinstance(error, ConnectionError | TimeoutError | httpx.TransportError)
    return of_storage or broke_off or getattr(error, "status", None) == TEMPORARY


RETRY_POLICY = {
    "cache_policy": NO_CACHE,
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_condition_fn": lambda task, run, state: is_away(state.result(raise_on_failure=False)),
}
