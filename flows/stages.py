"""Runs the stages of dvc.yaml one by one through DVC."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import networkx
from dvc.repo import Repo
from prefect import get_run_logger, task

from flows.retries import RETRY_POLICY
from unmask.errors import TEMPORARY, UnmaskError


class StageError(RuntimeError):
    """A command that failed; the message holds its last lines.

    Args:
        command: the command line.
        code: its exit status.
        last: the last lines that it printed.
    """

    def __init__(self, command: list[str], code: int, last: list[str]) -> None:
        super().__init__(f"{' '.join(command)} ended with {code}: " + " | ".join(last))
        if any(f"exited with {TEMPORARY}" in line for line in last):  # DVC's words on a stage
            self.status = TEMPORARY


def stage_names(root: Path) -> list[str]:
    """All stages of the project, each after those it depends on.

    Raises:
        UnmaskError: when the project is no git repository.
    """
    if not (root / ".git").exists():
        raise UnmaskError(
            f"{root} is no git repository, as after a download without one, and DVC needs it: "
            "run `git init && git add --all && git commit -m start` there."
        )
    with Repo(str(root)) as repo:
        graph = networkx.relabel_nodes(
            repo.index.graph, {s: s.addressing for s in repo.index.graph}
        )
        graph.remove_nodes_from([s.addressing for s in repo.index.stages if s.is_data_source])
    return list(networkx.lexicographical_topological_sort(graph.reverse()))


def _dvc(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "dvc", *arguments]


def _environment() -> dict[str, str]:
    """Environment in which the stages' `python` is the one that runs this flow."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}


def _stream(command: list[str], root: Path) -> None:
    """Run a command, logging every line it prints; it ends with its children if the flow does.

    Raises:
        StageError: with the command and its last lines, when it fails.
    """
    logger = get_run_logger()
    last: list[str] = []
    process = subprocess.Popen(
        command,
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=_environment(),
        start_new_session=True,
    )
    try:
        for line in process.stdout or ():
            if text := line.rstrip():
                logger.info(text)
                last = [*last[-7:], text]
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code != 0:
        raise StageError(command, code, last)


@task(**RETRY_POLICY)
def run_stage(stage: str, root: Path) -> float:
    """Reproduce one stage, whose dependencies are up to date.

    Returns:
        The time it took, in minutes.
    """
    start = time.monotonic()
    _stream(_dvc("--wait-for-lock", "repro", "--single-item", stage), root)
    return (time.monotonic() - start) / 60


def run_stages(root: Path) -> dict[str, float]:
    """Run every stage of a project in order, and check that all are up to date at the end.

    Returns:
        The time that each took, in minutes.

    Raises:
        RuntimeError: with the last lines of the stage that failed.
    """
    logger, stages = get_run_logger(), stage_names(root)
    minutes = {}
    for number, stage in enumerate(stages, 1):
        logger.info(f"stage {number} of {len(stages)}: {stage}")
        minutes[stage] = run_stage.with_options(name=stage)(stage, root)
        logger.info(f"stage {stage} took {minutes[stage]:.1f} minutes")
    check_clean(root)
    spent = ", ".join(f"{stage} {value:.1f}" for stage, value in minutes.items())
    logger.info(f"minutes: {spent}, together {sum(minutes.values()):.1f}")
    return minutes


def new_pipeline() -> str:
    """Set UNMASK_PIPELINE_ID, which names MLflow's parent run, to a new id; returns the id."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    os.environ["UNMASK_PIPELINE_ID"] = name
    return name


@task
def check_clean(root: Path) -> None:
    """Fail unless every stage is up to date.

    Raises:
        RuntimeError: with what `dvc status` says.
    """
    answer = subprocess.run(
        _dvc("--wait-for-lock", "status"), cwd=root, capture_output=True, text=True, check=True
    )
    if "up to date" not in answer.stdout:
        raise RuntimeError(f"stages are not up to date after the run: {answer.stdout.strip()}")
