"""Flow `train`: runs every stage of dvc.yaml, registers the model, and promotes it by the gate."""

from prefect import flow, task

from flows.promote import judge_challenger
from flows.retries import RETRY_POLICY
from flows.stages import new_pipeline, run_stages
from unmask.project import project_root


@task(**RETRY_POLICY)
def sync_registry() -> str:
    """Register the trained networks if the store lacks them; returns the challenger's version."""
    from unmask.registry.sync import sync

    return sync()


@flow(name="train", log_prints=True)
def train(promote: bool = True) -> str:
    """Run the pipeline of the project that the working directory lies in.

    Args:
        promote: whether to judge the challenger by the gate and promote it if it passes.

    Returns:
        The challenger's version.
    """
    new_pipeline()
    run_stages(project_root())
    version = sync_registry()
    if promote:
        judge_challenger(version)
    return version


if __name__ == "__main__":
    train()
