"""When a task is tried again: where a server or storage is away, never where code is wrong."""

from prefect.tasks import exponential_backoff

from unmask.errors import TEMPORARY


def is_away(error: object) -> bool:
    """Whether an error says that something did not answer: itself, or by a stage's exit status."""
    status = getattr(error, "status", None)
    return isinstance(error, ConnectionError) or status == TEMPORARY


PATIENT = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=5),
    "retry_condition_fn": lambda task, run, state: is_away(state.result(raise_on_failure=False)),
}
