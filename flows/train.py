"""Flow `train`: every stage of dvc.yaml, then the registry, the gate and promotion."""

import os
from datetime import UTC, datetime
from pathlib import Path

from prefect import flow, get_run_logger, task

from flows.promote import judge_challenger
from flows.stages import check_clean, run_stage, stage_names


@task
def sync_registry() -> str:
    """Register the networks where the store lacks them; returns the challenger's version."""
    from unmask.registry.stage import sync

    return sync()


@flow(name="train", log_prints=True)
def train(promote: bool = True) -> str:
    """Run the pipeline in the working directory.

    Args:
        promote: judge the challenger by the gate and promote it if it passes.

    Returns:
        The challenger's version.
    """
    root, logger = Path.cwd(), get_run_logger()
    os.environ["UNMASK_PIPELINE_ID"] = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    stages = stage_names(root)
    minutes = {}
    for number, stage in enumerate(stages, 1):
        logger.info(f"stage {number} of {len(stages)}: {stage}")
        minutes[stage] = run_stage.with_options(name=stage)(stage, root)
        logger.info(f"stage {stage} took {minutes[stage]:.1f} minutes")
    check_clean(root)
    version = sync_registry()
    spent = ", ".join(f"{stage} {value:.1f}" for stage, value in minutes.items())
    logger.info(f"minutes: {spent}, together {sum(minutes.values()):.1f}")
    if promote:
        judge_challenger(version)
    return version


if __name__ == "__main__":
    train()
