"""Flow `promote`: the gate judges a version, and promotes it if every rule holds."""

import sys
from pathlib import Path

from prefect import flow, get_run_logger, task


@task
def judge_challenger(version: str | None = None) -> bool:
    """Judge a version, by default the challenger, log every reason and move the alias.

    Returns:
        Whether the version is the champion now.
    """
    from unmask.params import load_params
    from unmask.registry.promotion import promote as decide

    logger = get_run_logger()
    done = decide(load_params(), Path("data/masked"), version)
    if done.verdict is None:
        logger.info(f"version {done.version} already is the champion")
        return True
    for reason in done.verdict.reasons:
        logger.info(f"{'pass' if reason.holds else 'FAIL'}: {reason.text}")
    logger.info(f"version {done.version} was {done.verdict.summary}")
    return done.verdict.promote


@flow(name="promote", log_prints=True)
def promote(version: str | None = None) -> bool:
    """Judge a version by the gate and make it champion if it passes.

    Args:
        version: its number; by default the challenger.
    """
    return judge_challenger(version)


if __name__ == "__main__":
    sys.exit(0 if promote(*sys.argv[1:2]) else 1)
