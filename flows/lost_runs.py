"""Flow runs whose process is gone: marked as crashed and, where that is wanted, started again.

Prefect leaves a run 'Submitting' or 'Running' for ever whose worker was killed with it, or whose
machine went down. Its heartbeats would find the latter alone, and fill the database with events.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import psutil

from flows.processes import stop_processes

START_AGAIN = "start-again"  # tag, in prefect.yaml, of deployments whose crashed runs are repeated
_MOST_STARTS = 3
_SECONDS_TO_START = 60  # that a run may be without a process while its worker starts one
_RUN_ID, _ENGINE = "PREFECT__FLOW_RUN_ID", "-m prefect."


class LostRuns:
    """Looks after the flow runs of work pools whose runs are all on this machine.

    Args:
        api: URL of Prefect's REST interface.
        pools: names of the work pools.
    """

    def __init__(self, api: str, pools: Sequence[str]) -> None:
        self._api, self._pools = api, pools

    def look_after(self) -> list[str]:
        """Mark lost runs as crashed, and start again those that crashed and are tagged so.

        Returns:
            A sentence for each.

        Raises:
            httpx.HTTPError: when the server does not answer.
        """
        return [*self._crash_lost(), *self._start_again()]

    def _ask(self, method: str, path: str, body: dict) -> httpx.Response:
        return httpx.request(
            method, f"{self._api}/{path}", json=body, timeout=60
        ).raise_for_status()

    def _runs(self, states: list[str], **wanted: dict) -> list[dict]:
        flow_runs = {"state": {"type": {"any_": states}}, **wanted}
        pools = {"name": {"any_": list(self._pools)}}
        body = {"flow_runs": flow_runs, "work_pools": pools}
        return self._ask("POST", "flow_runs/filter", body).json()

    def _crash_lost(self) -> Iterator[str]:
        runs = self._runs(["PENDING", "RUNNING"])
        processes = _processes_of({run["id"] for run in runs}) if runs else {}
        for run in runs:
            since = datetime.fromisoformat(run["state"]["timestamp"])
            age = (datetime.now(UTC) - since).total_seconds()
            own = processes.get(run["id"], [])
            if age < _SECONDS_TO_START or any(map(_is_engine, own)):
                continue
            stop_processes(own)  # what it started goes on without it
            crashed = {"type": "CRASHED", "name": "Crashed", "message": "its process is gone"}
            self._ask("POST", f"flow_runs/{run['id']}/set_state", {"state": crashed, "force": True})
            yield f"flow run {run['name']} crashed: its process is gone"

    def _start_again(self) -> Iterator[str]:
        for run in self._runs(["CRASHED"], tags={"all_": [START_AGAIN]}):
            start = 1 + max(
                [1, *(int(n) for n in re.findall(r"start-(\d+)", " ".join(run["tags"])))]
            )
            if start <= _MOST_STARTS:
                path = f"deployments/{run['deployment_id']}/create_flow_run"
                again = {
                    "parameters": run["parameters"],
                    "tags": [START_AGAIN, f"start-{start}"],
                    "idempotency_key": f"{START_AGAIN}-{run['id']}",
                }
                name = self._ask("POST", path, again).json()["name"]
                yield f"flow run {run['name']} starts again as {name}"
            else:
                yield f"flow run {run['name']} crashed {_MOST_STARTS} times and is given up"
            left = [tag for tag in run["tags"] if tag != START_AGAIN]
            self._ask("PATCH", f"flow_runs/{run['id']}", {"tags": left})


def _processes_of(runs: set[str]) -> dict[str, list[psutil.Process]]:
    """The processes of flow runs on this machine, by the run's id."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            run = process.environ().get(_RUN_ID, "")
            if run in runs and process.status() != psutil.STATUS_ZOMBIE:
                found.setdefault(run, []).append(process)
    return found


def _is_engine(process: psutil.Process) -> bool:
    """Whether a process of a flow run is Prefect's, and not what the flow started."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return _ENGINE in " ".join(process.cmdline())
    return False
