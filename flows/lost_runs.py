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

from flows.processes import processes_with, stop_processes

START_AGAIN = "start-again"  # tag, in prefect.yaml, of deployments whose crashed runs are repeated
_MOST_STARTS = 3
_SECONDS_TO_START = 60  # that a run may be without a process while its worker starts one
_RUN_ID, _ENGINE = "PREFECT__FLOW_RUN_ID", "-m prefect."


class LostRuns:
    """Looks after the flow runs of this machine's workers.

    Args:
        api: URL of Prefect's REST interface.
        workers: name of the worker by its work pool, which no other machine's has.
    """

    def __init__(self, api: str, workers: dict[str, str]) -> None:
        self._api, self._workers = api, workers

    def look_after(self) -> Iterator[str]:
        """Mark lost runs as crashed, and start again those that crashed and are tagged so.

        Yields:
            A sentence for each.

        Raises:
            httpx.HTTPError: when the server does not answer.
        """
        yield from self._crash_lost()
        yield from self._start_again()

    def _ask(self, method: str, path: str, body: dict) -> httpx.Response:
        return httpx.request(
            method, f"{self._api}/{path}", json=body, timeout=60
        ).raise_for_status()

    def _runs(self, states: Sequence[str], **wanted: dict) -> list[dict]:
        """Runs of these workers, or which no worker has named as its own yet."""
        flow_runs = {"state": {"type": {"any_": states}}, **wanted}
        pools = {"name": {"any_": list(self._workers)}}
        found = self._ask(
            "POST", "flow_runs/filter", {"flow_runs": flow_runs, "work_pools": pools}
        ).json()
        return [
            run
            for run in found
            if run["labels"].get("prefect.worker.name") in (None, *self._workers.values())
        ]

    def _crash_lost(self) -> Iterator[str]:
        runs = self._runs(["PENDING", "RUNNING"])
        processes = _processes_of({run["id"] for run in runs})
        for run in runs:
            since = datetime.fromisoformat(run["state"]["timestamp"])
            age = (datetime.now(UTC) - since).total_seconds()
            if age < _SECONDS_TO_START or any(map(_is_engine, processes.get(run["id"], []))):
                continue
            crashed = {"type": "CRASHED", "name": "Crashed", "message": "its process is gone"}
            answer = self._ask("POST", f"flow_runs/{run['id']}/set_state", {"state": crashed})
            if answer.json()["status"] == "ACCEPT":  # it did not end meanwhile
                yield f"flow run {run['name']} crashed: its process is gone"

    def _start_again(self) -> Iterator[str]:
        runs = self._runs(["CRASHED"], tags={"all_": [START_AGAIN]})
        processes = _processes_of({run["id"] for run in runs})
        for run in runs:
            stop_processes(processes.get(run["id"], []))  # what it started goes on without it
            starts = [int(n) for n in re.findall(r"\bstart-(\d+)", " ".join(run["tags"]))]
            yield self._started_again(run, 1 + max([1, *starts]))
            left = [tag for tag in run["tags"] if tag != START_AGAIN]
            self._ask("PATCH", f"flow_runs/{run['id']}", {"tags": left})

    def _started_again(self, run: dict, start: int) -> str:
        """Have a run's deployment run again with its params; returns what came of it."""
        if start > _MOST_STARTS:
            return f"flow run {run['name']} crashed {_MOST_STARTS} times in a row and is given up"
        again = {
            "parameters": run["parameters"],
            "tags": [START_AGAIN, f"start-{start}"],
            "idempotency_key": f"{START_AGAIN}-{run['id']}",
        }
        path = f"deployments/{run['deployment_id']}/create_flow_run"
        try:
            name = self._ask("POST", path, again).json()["name"]
        except httpx.HTTPStatusError as error:
            if error.response.is_server_error:
                raise
            return f"flow run {run['name']} cannot start again: {error.response.text[:200]}"
        return f"flow run {run['name']} starts again as {name}"


def _processes_of(runs: set[str]) -> dict[str, list[psutil.Process]]:
    """The processes of flow runs on this machine, by the run's id."""
    found: dict[str, list[psutil.Process]] = {}
    for process, run in processes_with(_RUN_ID) if runs else ():
        if run in runs:  # a zombie's environment cannot be read
            found.setdefault(run, []).append(process)
    return found


def _is_engine(process: psutil.Process) -> bool:
    """Whether a process of a flow run is Prefect's, and not what the flow started."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return _ENGINE in " ".join(process.cmdline())
    return False
