"""Flow `train`: runs every stage of dvc.yaml, registers the model, and promotes it by the gate."""

from pathlib import Path

from prefect import flow, task

from flows.promote import judge_challenger
from flows.retries import RETRY_POLICY
from flows.stages import new_pipeline, run_stages


@task(**RETRY_POLICY)
def sync_registry() -> str:
    """Register the trained networks if the store lacks them; returns the challenger's version."""
    from unmask.registry.sync import sync

    return sync()


@flow(name="train", log_prints=True)
def train(promote: bool = True) -> str:
    """Run the pipeline in the working directory.

    Args:
        promote: whether to judge the challenger by the gate and promote it if it passes.

    Returns:
        The challenger's version.
    """
    new_pipeline()
    run_stages(Path.cwd())
    version = sync_registry()
    if promote:
        judge_challenger(version)
    return version


if __name__ == "__main__":
    train()
