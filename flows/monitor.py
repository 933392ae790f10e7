"""Flow `monitor`: have restored faces drifted from those that the champion was trained on?"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.client.orchestration import get_client
from prefect.events import Event, Resource

from flows.retries import RETRY_POLICY
from unmask.locks import locked

if TYPE_CHECKING:
    import numpy as np

    from unmask.monitoring.check import DriftCheck

EVENT = "unmask.drift.confirmed"
RESOURCE = {"prefect.resource.id": "unmask.model.unmask"}


@task(**RETRY_POLICY)
def check_batches(root: Path) -> DriftCheck | None:
    """Compare the batches since the last check with the champion's reference."""
    from unmask.config.params import load_params
    from unmask.monitoring.check import check_drift

    return check_drift(load_params(root / "params.yaml"), root)


@task
def publish_report(report: str, verdict: str, densities: np.ndarray) -> None:
    """Publish a check's report as artifacts of the flow run.

    Args:
        report: in Markdown.
        verdict: its description.
        densities: (H, W, 3) uint8 RGB.
    """
    from unmask.inference.pictures import encode_picture

    create_markdown_artifact(report, key="unmask-drift", description=verdict)
    picture = base64.b64encode(encode_picture(densities)).decode()
    create_image_artifact(f"data:image/png;base64,{picture}", key="unmask-drift-densities")


@task(**RETRY_POLICY)
def send_event(check: DriftCheck) -> None:
    """Send the event that starts a retraining; the same drift has the same event id.

    It is posted directly: Prefect's `emit_event` queues it, and a failure would only be logged.
    """
    event = Event(
        event=EVENT,
        resource=Resource(RESOURCE),
        payload={"drift": check.id, "features": list(check.features), "changes": check.changes},
        id=uuid5(NAMESPACE_URL, f"unmask/drift/{check.id}"),
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])


@flow(name="monitor", log_prints=True)
def monitor() -> str:
    """Check the batches of `.unmask/batches` that came since the last check.

    Returns:
        'nothing new', 'too few', 'no drift' or 'drift'.
    """
    from unmask.project import project_root

    root, logger = project_root(), get_run_logger()
    with locked(root / ".unmask" / "monitor.lock", "a check"):
        check = check_batches(root)
        if check is None:
            logger.info("nothing was restored since the last check")
            return "nothing new"
        logger.info(check.report)
        if check.densities is None:
            return check.verdict
        publish_report(check.report, check.verdict, check.densities)
        if check.is_new:
            send_event(check)
            logger.info(f"sent the event of drift {check.id} in {', '.join(check.features)}")
        check.ledger.write(root)
    return check.verdict


if __name__ == "__main__":
    monitor()
