"""Flow `monitor`: has what is restored drifted from what the champion was trained on?"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from filelock import FileLock
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.events import Event

from flows.retries import RETRY_POLICY

if TYPE_CHECKING:
    from unmask.monitoring.check import Check

EVENT = "unmask.drift.confirmed"
RESOURCE = {"prefect.resource.id": "unmask.model.unmask"}


@task(**RETRY_POLICY)
def judge_batches(root: Path) -> Check | None:
    """Compare the batches since the last check with the champion's reference."""
    from unmask.config.params import load_params
    from unmask.monitoring.check import check

    return check(load_params(root / "params.yaml"), root)


@task
def publish(found: Check) -> None:
    """Show the report in Prefect's pages."""
    from unmask.inference.pictures import encode_picture

    create_markdown_artifact(found.report, key="unmask-drift", description=found.verdict)
    picture = base64.b64encode(encode_picture(found.densities)).decode()
    create_image_artifact(f"data:image/png;base64,{picture}", key="unmask-drift-densities")


@task(**RETRY_POLICY)
def tell(found: Check) -> None:
    """Send the event that starts a retraining; the same drift has the same event id.

    Prefect's `emit_event` queues, and only logs what the server did not take.
    """
    event = Event(
        event=EVENT,
        resource=RESOURCE,
        payload={"drift": found.id, "features": list(found.features), "changes": found.changes},
        id=uuid5(NAMESPACE_URL, f"unmask/drift/{found.id}"),
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


@flow(name="monitor", log_prints=True)
def monitor() -> str:
    """Check the batches of `.unmask/batches` that no check has judged yet.

    Returns:
        'nothing new', 'too few', 'no drift' or 'drift'.
    """
    from unmask.project import project_root

    root, logger = project_root(), get_run_logger()
    (root / ".unmask").mkdir(exist_ok=True)
    with FileLock(root / ".unmask" / "monitor.lock"):
        found = judge_batches(root)
        if found is None:
            logger.info("nothing was restored since the last check")
            return "nothing new"
        logger.info(found.report)
        if found.densities is None:
            return found.verdict
        publish(found)
        if found.news:
            tell(found)
            logger.info(f"told of drift {found.id} in {', '.join(found.features)}")
        found.ledger.write(root)
    return found.verdict


if __name__ == "__main__":
    monitor()
