"""Seconds from the drift event to the start of the retraining that it causes.

    PYTHONPATH=tests python -m benchmarks.event_latency [--events 40]

`make up`'s servers and worker in a temporary project, with all their schedules. The events, sent
one after another, change no param, so that each retraining ends with 'nothing changed'.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from project import copy_project
from team.loop import Loop, running
from team.services import until

from benchmarks.rehearsal.day import seconds_between
from unmask.config.params import load_params

_EMIT = """
import sys
from prefect.events import emit_event
from flows.events import DRIFT, RESOURCE
payload = {"drift": sys.argv[1], "features": [], "changes": {"seed": int(sys.argv[2])}}
emit_event(DRIFT, RESOURCE, payload=payload)
"""


def latency(loop: Loop, name: str, seed: int) -> float:
    """Emit an event and wait for the end of the run that it starts."""
    command = [sys.executable, "-c", _EMIT, name, str(seed)]
    subprocess.run(command, cwd=loop.project, env=loop.clients, check=True)

    def ended() -> list[dict]:
        runs = loop.prefect.runs("retrain")
        return [r for r in runs if r["parameters"].get("drift") == name and r["end_time"]]

    (run,) = until(ended, f"the retraining for {name} ends", seconds=300)
    if run["state_type"] != "COMPLETED":
        sys.exit(f"the retraining for {name} ended otherwise: {run['state']['message']}")
    wanted = {"event": {"name": ["unmask.drift.confirmed"]}, "order": "DESC"}
    events = loop.prefect.ask("events/filter", filter=wanted)["events"]
    (event,) = [e for e in events if e["payload"]["drift"] == name]
    return seconds_between(event["occurred"], run["start_time"])


def main() -> None:
    """Print the median, the 95th percentile and the largest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=40)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        project = copy_project(Path(folder) / "project")
        seed = load_params(project / "params.yaml").seed
        with running(project, "mlflow", "prefect", "worker") as loop:
            took = [latency(loop, f"drift-{i}", seed) for i in range(asked.events)]
    middle, late = np.percentile(took, [50, 95])
    print(
        f"{len(took)} events, start after: median {middle:.1f} s, p95 {late:.1f} s, "
        f"at most {max(took):.1f} s"
    )


if __name__ == "__main__":
    main()
