"""Sizes of every store through weeks of operation at high speed: does anything grow for ever?

    PYTHONPATH=tests python -m benchmarks.week [--half-days 20] [--runs 104] [--trainings 20]

In a temporary project at smoke size with MLflow's and Prefect's servers as `make up` starts them,
the real flows run as fast as they go: in each half day so many of the inbox's, every eighth with a
photo, and one of the monitor's, beside them the retrainings, spread evenly, and at each day's end
the clean-up. Then all times in Prefect's database are set back by half a day, as if it had passed.
It keeps flow runs for a day here, in place of a week, and the clean-up keeps nothing for its age.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from project import copy_project
from team.loop import Loop, running

from unmask.masking.samples import write_samples

_INBOX = """
import shutil, sys
from pathlib import Path
from flows.inbox import restore_inbox
from flows.monitor import monitor
step, runs = map(int, sys.argv[1:])
new = Path("data/inbox/new")
new.mkdir(parents=True, exist_ok=True)
for run in range(runs):
    if run % 8 == 0:
        shutil.copy("in/face-0000.png", new / f"{step:03d}-{run:03d}.png")
    completed(restore_inbox(return_state=True))
completed(monitor(return_state=True))
"""
_RETRAIN = """
import sys
from flows.retrain import retrain
completed(retrain({'seed': int(sys.argv[1])}, return_state=True))
"""
_CLEAN = """
from flows.clean_up import clean_up
completed(clean_up(return_state=True))
"""
# a result is lost where a busy server's answer was, and the state is proposed again
_COMPLETED = """
def completed(state):
    assert state.is_completed(), state
"""
_SETTINGS = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "5",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "86400",
    "PREFECT_LOGGING_LEVEL": "WARNING",
}
_HALF_A_DAY = 43_200  # seconds
_PARAMS = {
    "count: 96": "count: 300",  # else some seeds leave no faces to score
    "days: 30.0": "days: 0.0",
    "predecessors: 3": "predecessors: 1",
    "cache_gigabytes: 20.0": "cache_gigabytes: 0.01",
    "settle_seconds: 10.0": "settle_seconds: 0.0",
    "crop: false": "crop: true",
}
_TIMES = {
    "flow_run": ("start_time", "end_time"),
    "events": ("occurred",),
    "event_resources": ("occurred",),
    "log": ("timestamp",),
}


def start(loop: Loop, code: str, *arguments: object) -> subprocess.Popen:
    """Start Python code in the project, as a worker would."""
    command = [sys.executable, "-c", _COMPLETED + code, *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=loop.project,
        env=loop.clients,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen) -> None:
    """Wait for code that must succeed."""
    said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{process.args[2].strip().splitlines()[-1]} failed: {said[-4000:]}")


def set_back(database: Path) -> None:
    """Let half a day pass in Prefect's database."""
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        for table, names in _TIMES.items():
            for name in names:
                connection.execute(
                    f"update {table} set {name} = "
                    f"strftime('%Y-%m-%d %H:%M:%f000', {name}, '-{_HALF_A_DAY} seconds') "
                    f"where {name} is not null"
                )


def database_bytes(file: Path) -> int:
    """The bytes of a SQLite file that are in use."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        used, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (used - free) * size


def folder_bytes(folder: Path) -> int:
    """The bytes of all files in a folder."""
    found = 0
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top) / name
            found += path.stat().st_size if path.is_file() and not path.is_symlink() else 0
    return found


def sizes(project: Path) -> dict[str, float]:
    """MB of each store."""
    state = project / ".unmask"
    measured = {
        "prefect.db": database_bytes(state / "prefect" / "prefect.db"),
        "mlflow.db": database_bytes(project / "mlflow.db"),
        "mlartifacts": folder_bytes(project / "mlartifacts"),
        "dvc": folder_bytes(project / ".dvc" / "cache"),
        "git": folder_bytes(project / ".git"),
        "cache": folder_bytes(state / "cache"),
        "logs": folder_bytes(state / "logs"),
        "batches": folder_bytes(state / "batches"),
        "drops": folder_bytes(state / "drops"),
        "checkpoints": folder_bytes(state / "checkpoints"),
    }
    return {name: value / 1e6 for name, value in measured.items()}


def main() -> None:
    """Print a row of sizes for each half day."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half-days", type=int, default=20)
    parser.add_argument("--runs", type=int, default=104)
    parser.add_argument("--trainings", type=int, default=20)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        text = (project / "params.yaml").read_text()
        for before, after in _PARAMS.items():
            assert before in text, before
            text = text.replace(before, after)
        (project / "params.yaml").write_text(text)
        subprocess.run(["git", "commit", "-qam", "Set params"], cwd=project, check=True)
        write_samples(project / "in", 1, 128, 1, masked=True)
        done, begun = 0, time.monotonic()
        with running(project, "mlflow", "prefect", **_SETTINGS) as loop:
            for step in range(asked.half_days):
                inbox = start(loop, _INBOX, step, asked.runs)
                while done < (step + 1) * asked.trainings // asked.half_days:
                    done += 1
                    finish(start(loop, _RETRAIN, done))
                finish(inbox)
                if step % 2:
                    finish(start(loop, _CLEAN))
                set_back(project / ".unmask" / "prefect" / "prefect.db")
                time.sleep(12)  # two rounds of Prefect's vacuum
                row = sizes(project)
                if step == 0:
                    print("| half day | trainings | s |", " | ".join(row), "|", flush=True)
                    print("|---" * (3 + len(row)) + "|", flush=True)
                cells = " | ".join(f"{value:.1f}" for value in row.values())
                print(
                    f"| {step + 1} | {done} | {time.monotonic() - begun:.0f} | {cells} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
