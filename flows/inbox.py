"""Flow `restore_inbox`: restores each new photo of an inbox once.

`unmask.inbox.queue` documents the inbox's folders.
"""

import argparse
import platform
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed, State

from flows.reports import table_row
from flows.retries import RETRY_POLICY
from unmask.config.params import Inbox, load_params
from unmask.errors import UnmaskError
from unmask.inbox.leases import LeaseLostError, Leases
from unmask.inbox.queue import (
    FAILED,
    NEW,
    BatchProcessor,
    Outcome,
    Restorer,
    claim,
    waiting_photos,
)
from unmask.inbox.storage import Storage, storage_of
from unmask.project import project_root, write_whole

_LISTED = 100  # failed photos that the report names


@task(**RETRY_POLICY)
def find_work(storage: Storage, leases: Leases, settle: float) -> tuple[list[str], list[str]]:
    """The batches that killed runs left, and the photos of new/ unchanged for `settle` seconds."""
    return leases.left(), waiting_photos(storage, settle, time.time())


@task(**RETRY_POLICY)
def load_restorer(model: str | None, params: Inbox) -> Restorer:
    """Load the model, by default the champion, else the released weights.

    Args:
        model: URI of a registered model, or None.
        params: how photos are read and answers written.
    """
    from unmask.inference.chain import Chain
    from unmask.inference.image_file import Writing
    from unmask.inference.photo import PhotoRestorer
    from unmask.inference.results import RestoreOptions
    from unmask.monitoring.batches import BATCHES, write_batch
    from unmask.monitoring.summaries import summarise
    from unmask.networks import trained_on
    from unmask.parallel import CORES
    from unmask.registry.loading import find_networks

    networks, name = find_networks(model)
    get_run_logger().info(f"{name}, {trained_on(networks)}")
    chain = Chain.load(networks, CORES)  # one photo is restored after the other
    batches = project_root() / BATCHES
    return Restorer(
        partial(PhotoRestorer(chain).restore, options=RestoreOptions(crop=params.crop)),
        name,
        partial(summarise, chain=chain),
        lambda rows, batch: write_batch(rows, batches, batch),
        Writing.parse(params.format, params.quality, params.strip_metadata),
        round(params.most_megapixels * 1e6),
    )


@task(**RETRY_POLICY)
def make_processor(storage: Storage, restorer: Restorer) -> BatchProcessor:
    """List the answers in the inbox, so that no photo is restored again."""
    return BatchProcessor(storage, restorer)


@task(**RETRY_POLICY)
def restore_batch(
    storage: Storage, processor: BatchProcessor, leases: Leases, batch: str, photos: list[str]
) -> list[Outcome]:
    """Move photos into a batch and restore all that it holds.

    Args:
        storage: the inbox.
        processor: restores the batch.
        leases: of the inbox.
        batch: its name.
        photos: paths relative to new/; none for a batch that a killed run left.

    Returns:
        One outcome per photo; none where other workers have the photos or the batch.
    """
    lease = leases.take(batch)
    if lease is None:
        return []
    with lease:
        try:
            claim(storage, photos, lease, leases)
            return processor.process(lease)
        except LeaseLostError as error:
            get_run_logger().warning(f"{error}")
            return []


@task
def write_report(outcomes: list[Outcome], model: str) -> str:
    """Write the run's counts and failures as a Prefect artifact.

    Args:
        outcomes: one per photo.
        model: the model's name and version.

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
        lines += [table_row(one.photo, one.reason) for one in failed[:_LISTED]]
        lines += [f"and {len(failed) - _LISTED} more"] if len(failed) > _LISTED else []
    create_markdown_artifact("\n".join(lines) + "\n", key="restore-inbox")
    return ", ".join(f"{count} {status}" for status, count in sorted(photos.items()))


@contextmanager
def exclusive(path: Path) -> Iterator[bool]:
    """Let one process of this project at a time restore; the lock ends with its process.

    A run whose process is killed would stay 'Running' in Prefect for ever, so the next run that
    gets the lock marks it as crashed.

    Args:
        path: the file to lock.

    Yields:
        Whether this process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    holder = path.with_name(f"{path.name}.run")
    try:
        if holder.is_file():
            _mark_crashed(UUID(holder.read_text()))
        write_whole(holder, str(runtime.flow_run.id).encode())
        yield True
        holder.unlink()
    finally:
        lock.release()


def _mark_crashed(run: UUID) -> None:
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(run).state
        except ObjectNotFound:  # of another Prefect server
            return
        if state is not None and state.is_final():
            return
        message = "its process ended while it held the inbox; a later run finishes its batch"
        client.set_flow_run_state(run, Crashed(message=message), force=True)


def _owner(state: Path) -> str:
    """What names this project's runs in leases, of which the lock lets one at a time work."""
    file = state / "inbox.owner"
    if not file.is_file():
        write_whole(file, uuid4().hex.encode())
    return f"{file.read_text()} {platform.node()}"  # a copied project's is another


def _restore(storage: Storage, leases: Leases, params: Inbox, model: str | None) -> str:
    """Restore all that waits in the inbox; returns the counts in one line."""
    left, photos = find_work(storage, leases, params.settle_seconds)
    if not left and not photos:
        return "nothing new"
    storage.check()
    restorer = load_restorer(model, params)
    processor = make_processor(storage, restorer)
    outcomes: list[Outcome] = []
    while left or photos:
        batches: list[tuple[str, list[str]]] = [(batch, []) for batch in left]
        started = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid4().hex[:8]}"
        for first in range(0, len(photos), params.batch_size):
            name = f"inbox-{started}-{first // params.batch_size:06d}"
            batches.append((name, photos[first : first + params.batch_size]))
        before = len(outcomes)
        for batch, some in batches:
            outcomes += restore_batch(storage, processor, leases, batch, some)
            get_run_logger().info(f"{len(outcomes)} photos, {len(photos)} were new")
            if any(outcome.defect for outcome in outcomes):
                break
        if len(outcomes) == before or any(outcome.defect for outcome in outcomes):
            break
        left, photos = find_work(storage, leases, params.settle_seconds)
    counts = write_report(outcomes, restorer.model)
    if defects := [outcome for outcome in outcomes if outcome.defect]:
        raise UnmaskError(
            f"{counts}; {len(defects)} photos met a defect of the code and are in {FAILED}/, "
            f"the first by: {defects[0].reason}; put them into {NEW}/ again once it is mended."
        )
    return counts


@flow(name="restore_inbox", log_prints=True)
def restore_inbox(model: str | None = None) -> State:
    """Restore each new photo of the inbox that params.yaml names once.

    Args:
        model: URI of the registered model; None takes the champion, else the released weights.

    Returns:
        A completed state, whose message has the counts; 'Skipped' while another run is at work.
    """
    params, state = load_params().inbox, project_root() / ".unmask"
    storage = storage_of(params.url)
    with exclusive(state / "inbox.lock") as held:
        if not held:
            return Completed(name="Skipped", message="another run is at work on the inbox")
        leases = Leases(storage, _owner(state), params.lease_seconds)
        counts = _restore(storage, leases, params, model)
        get_run_logger().info(counts)
        return Completed(message=counts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Restore each new photo of the inbox once.")
    parser.add_argument("--model", help="default: the champion, else the released weights")
    restore_inbox(parser.parse_args().model)
