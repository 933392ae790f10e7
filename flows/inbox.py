"""Flow `restore_inbox`: the new photos of an inbox, restored once each.

`unmask.inbox.queue` says what lies where in it.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed, State

from flows.retries import RETRY_POLICY
from unmask.config.params import Inbox, load_params
from unmask.errors import UnmaskError
from unmask.inbox.queue import FAILED, NEW, Answers, Outcome, Restorer, claim, unfinished, waiting
from unmask.inbox.storage import Storage, storage_of
from unmask.project import project_root, write_whole

_LISTED = 100  # failures in the artifact


class DefectError(UnmaskError):
    """Photos that the code failed on; the message says where they are."""


@task(**RETRY_POLICY)
def find_work(storage: Storage, settle: float) -> tuple[list[str], list[str]]:
    """The batches that a killed run left, and the photos that wait."""
    return unfinished(storage), waiting(storage, settle, time.time())


@task(**RETRY_POLICY)
def load_restorer(model: str | None, crop: bool) -> Restorer:
    """The champion, else the released weights, or what `model` names."""
    from unmask.inference.photo import restorer_of
    from unmask.monitoring.batches import BATCHES, write_batch
    from unmask.monitoring.summaries import summarise
    from unmask.registry.loading import load_chain

    chain, name = load_chain(model)
    batches = project_root() / BATCHES
    return Restorer(
        restorer_of(chain, crop=crop).restore,
        name,
        lambda picture, restored: summarise(picture, restored, chain),
        lambda rows, batch: write_batch(rows, batches, batch),
    )


@task(**RETRY_POLICY)
def find_answers(storage: Storage, restorer: Restorer) -> Answers:
    """What is answered already."""
    return Answers(storage, restorer)


@task(**RETRY_POLICY)
def restore_batch(
    storage: Storage, answers: Answers, batch: str, photos: list[str]
) -> list[Outcome]:
    """Take photos into a batch and restore what is in it.

    Returns:
        An outcome a photo.
    """
    claim(storage, photos, batch)
    return answers.finish(batch)


@task
def write_report(outcomes: list[Outcome], model: str) -> str:
    """Keep the run's counts and failures as an artifact.

    Returns:
        The counts in one line.
    """
    photos = Counter(outcome.status for outcome in outcomes)
    faces = Counter(face for outcome in outcomes for face in outcome.faces)
    lines = [f"# Inbox, {model}", "", "| photos | |", "|---|---|"]
    lines += [f"| {status} | {count} |" for status, count in sorted(photos.items())]
    lines += ["", "| faces of restored photos | |", "|---|---|"]
    lines += [f"| {status} | {count} |" for status, count in sorted(faces.items())]
    failed = [outcome for outcome in outcomes if outcome.status == "failed"]
    if failed:
        lines += ["", f"Set aside in {FAILED}/:", "", "| photo | reason |", "|---|---|"]
        lines += [f"| {_cell(one.photo)} | {_cell(one.reason)} |" for one in failed[:_LISTED]]
        lines += [f"and {len(failed) - _LISTED} more"] if len(failed) > _LISTED else []
    create_markdown_artifact("\n".join(lines) + "\n", key="restore-inbox")
    return ", ".join(f"{count} {status}" for status, count in sorted(photos.items()))


def _cell(text: str) -> str:
    """Text for a cell of a Markdown table; a file's name may be no text."""
    readable = text.encode(errors="backslashreplace").decode()
    return " ".join(readable.split()).replace("|", "\\|")


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold the inbox while no other process does; yields whether it is held.

    The lock ends with its process. The run whose process was killed while it held the inbox would
    be 'Running' for ever: the next one to hold it declares it crashed.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        yield False
        return
    holder = lock.with_name(f"{lock.name}.run")
    try:
        if holder.is_file():
            _declare_crashed(UUID(holder.read_text()))
        write_whole(holder, str(runtime.flow_run.id).encode())
        yield True
        holder.unlink()
    finally:
        held.release()


def _declare_crashed(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        try:
            if client.read_flow_run(run).state.is_final():
                return
        except ObjectNotFound:  # of another Prefect server
            return
        message = "its process ended while it held the inbox; a later run finishes its batch"
        client.set_flow_run_state(run, Crashed(message=message), force=True)


def _restore(storage: Storage, params: Inbox, model: str | None) -> str:
    left, photos = find_work(storage, params.settle_seconds)
    if not left and not photos:
        return "nothing new"
    restorer = load_restorer(model, params.crop)
    answers = find_answers(storage, restorer)
    batches, begun = [(batch, []) for batch in left], f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    for start in range(0, len(photos), params.batch_size):
        some = photos[start : start + params.batch_size]
        batches.append((f"inbox-{begun}-{len(batches):06d}", some))
    outcomes: list[Outcome] = []
    for batch, some in batches:
        outcomes += restore_batch(storage, answers, batch, some)
        get_run_logger().info(f"{len(outcomes)} photos, {len(photos)} were new")
        if any(outcome.defect for outcome in outcomes):
            break
    counts = write_report(outcomes, restorer.model)
    if defects := [outcome for outcome in outcomes if outcome.defect]:
        raise DefectError(
            f"{counts}; {len(defects)} photos met a defect of the code and are in {FAILED}/, "
            f"the first by: {defects[0].reason}; put them into {NEW}/ again once it is mended."
        )
    return counts


@flow(name="restore_inbox", log_prints=True)
def restore_inbox(model: str | None = None) -> State:
    """Restore what is new in the inbox that params.yaml names, each photo once.

    Args:
        model: URI of the registered model; by default the champion, else the released weights.
    """
    params = load_params().inbox
    storage = storage_of(params.url)
    with alone(storage.lock) as held:
        if not held:
            return Completed(name="Skipped", message="another run is at work on the inbox")
        counts = _restore(storage, params, model)
        get_run_logger().info(counts)
        return Completed(message=counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="default: the champion, else the released weights")
    restore_inbox(parser.parse_args().model)
