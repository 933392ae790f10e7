"""Flow `monitor`: have restored faces drifted from those that the champion was trained on?"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from flows.events import DRIFT, GONE, send_event
from flows.retries import RETRY_POLICY
from unmask.locks import locked

if TYPE_CHECKING:
    import numpy as np

    from unmask.monitoring.check import DriftCheck


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
def champion_trouble() -> str | None:
    """What is wrong where the champion is gone, else None."""
    from unmask.registry.champions import ChampionGoneError, champion

    try:
        champion()
    except ChampionGoneError as error:
        return str(error)
    return None


@flow(name="monitor", log_prints=True)
def monitor() -> str:
    """Check the batches of `.unmask/batches` that came since the last check.

    Returns:
        'nothing new', 'too few', 'no drift', 'drift' or 'champion gone'.
    """
    from unmask.project import project_root

    root, logger = project_root(), get_run_logger()
    with locked(root / ".unmask" / "monitor.lock", "a check"):
        if gone := champion_trouble():
            logger.error(gone)
            send_event(GONE, gone, gone, {})
            return "champion gone"
        check = check_batches(root)
        if check is None:
            logger.info("nothing was restored since the last check")
            return "nothing new"
        logger.info(check.report)
        if check.densities is None:
            return check.verdict
        publish_report(check.report, check.verdict, check.densities)
        if check.is_new:
            text = f"drift in {', '.join(check.features)} is confirmed; a retraining starts"
            drift = {"drift": check.id, "features": check.features, "changes": check.changes}
            send_event(DRIFT, check.id, text, drift)
            logger.info(f"sent the event of drift {check.id} in {', '.join(check.features)}")
        check.ledger.write(root)
    return check.verdict


if __name__ == "__main__":
    monitor()
