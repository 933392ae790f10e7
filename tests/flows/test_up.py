"""`make up` in a project at smoke size: everything answers, state is kept, nothing is left."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from project import copy_project, run_in
from team.loop import Loop, running, settings_of
from team.services import until

pytestmark = pytest.mark.server

DEPLOYMENTS = """
name: unmask
deployments:
  - name: restore
    entrypoint: flows/restore.py:restore
    work_pool: {name: unmask}
  - name: train
    entrypoint: flows/train.py:train
    tags: [start-again]
    work_pool: {name: unmask}
"""


def make_project(folder: Path) -> Path:
    project = copy_project(folder / "project")
    (project / "prefect.yaml").write_text(DEPLOYMENTS)
    return project


def succeed(project: Path, *command: str, **environment: str) -> str:
    done = run_in(project, *command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_champion(project: Path, **environment: str) -> None:
    """Register the released weights and promote them."""
    succeed(project, "unmask", "models", "import", **environment)
    code = "from unmask.registry.champions import replace_champion as r; r(None, '1', 'a test')"
    succeed(project, "python", "-c", code, **environment)


def sample(project: Path) -> None:
    succeed(project, "unmask", "faces", "sample", "-o", "in", "--count", "1", "--masked")


def marked(project: Path, words: str = "") -> list[psutil.Process]:
    """Every process that `make up` of this project started, whoever its parent is by now, and
    whose command has those words."""
    found = []
    for process in psutil.process_iter():
        try:
            of_project = process.environ().get("UNMASK_UP", "").startswith(f"{project}:")
            if of_project and words in " ".join(process.cmdline()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def restored_by_the_worker(loop: Loop, out: str) -> str:
    """Run the deployment and return its state, and the worker's log with it."""
    loop.prefect.run("restore", folder="in", out=out, crop=True)

    def ended() -> dict | None:
        (found,) = loop.prefect.runs("restore")
        return found if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED") else None

    return until(ended, "the flow run ends", seconds=400)["state_type"] + loop.log("worker")[-2000:]


def test_up_keeps_state_and_leaves_nothing(tmp_path):
    project = make_project(tmp_path)
    make_champion(project)  # without a server
    sample(project)
    with running(project) as loop:
        for address in (
            f"{loop.mlflow}/health",
            f"{loop.prefect.url}/health",
            f"{loop.serve}/health",
        ):
            assert httpx.get(address, timeout=60).status_code == 200
            assert address.removesuffix("/health").removesuffix("/api") in loop.output.read_text()
        state = restored_by_the_worker(loop, "out")
        assert state.startswith("COMPLETED"), state
        assert '"model": "unmask/1"' in (project / "out" / "face-0000.restored.json").read_text()
        children = loop.children()
        assert len(children) >= 4
        assert loop.interrupt() == 0
        assert [p for p in children if p.is_running()] == []
        assert marked(project) == []
    assert list((project / ".unmask").rglob("*.pid")) == []
    with running(project) as loop:
        deployments = loop.prefect.ask("deployments/filter")
        assert {deployment["name"] for deployment in deployments} == {"restore", "train"}
        runs = loop.prefect.ask("flow_runs/filter")
        assert [run["state_type"] for run in runs] == ["COMPLETED"]
        assert "champion" in succeed(project, "unmask", "models", "list", **loop.clients)
        assert loop.interrupt(signal.SIGTERM) == 0
        assert marked(project) == []
    assert "champion" in succeed(project, "unmask", "models", "list")


def test_what_a_server_registered_loads_without_it(tmp_path):
    project = make_project(tmp_path)
    with running(project, "mlflow") as loop:
        make_champion(project, **loop.clients)
    sample(project)
    succeed(project, "unmask", "restore", "in", "-o", "out", "--crop")
    assert '"model": "unmask/1"' in (project / "out" / "face-0000.restored.json").read_text()


def test_a_service_that_dies_is_named_and_comes_back(tmp_path):
    project = make_project(tmp_path)
    with running(project, "mlflow") as loop:
        first = psutil.Process(loop.process.pid).children()
        for process in first:
            process.kill()
        until(lambda: "mlflow is up again" in loop.output.read_text(), "mlflow comes back")
        assert "mlflow ended with -9, its last lines" in loop.output.read_text()
        assert httpx.get(f"{loop.mlflow}/health", timeout=60).status_code == 200
        loop.process.kill()  # and what a killed `make up` leaves is cleared away by the next
        loop.process.wait()
        left = marked(project)
        assert left != []
    with running(project, "mlflow"):
        assert [process for process in left if process.is_running()] == []


@pytest.mark.parametrize(
    "words", ["prefect.runner", "unmask.stages.faces"], ids=["starting", "at work"]
)
def test_ctrl_c_ends_a_flow_run_too_and_says_so(tmp_path, words):
    project = make_project(tmp_path)
    with running(project, "mlflow", "prefect", "worker") as loop:
        loop.prefect.run("train")
        until(lambda: marked(project, words), f"a process of {words}")
        assert loop.interrupt() == 0
        assert marked(project) == []
    with sqlite3.connect(project / ".unmask" / "prefect" / "prefect.db") as database:
        assert database.execute("select state_name from flow_run").fetchall() == [("Crashed",)]


def test_a_run_that_is_lost_crashes_and_starts_again(tmp_path):
    project = make_project(tmp_path)
    names = ("mlflow", "prefect", "worker")
    with running(project, *names) as loop:
        lost = loop.prefect.run("train")
        until(lambda: marked(project, "unmask.stages.faces"), "a stage")
        for process in [psutil.Process(loop.process.pid), *marked(project)]:  # power fails
            process.kill()
        loop.process.wait()
    with running(project, *names) as loop:
        assert loop.prefect.ask(f"flow_runs/{lost}", "GET")["state_type"] == "RUNNING"

        def second() -> dict | None:
            runs = [run for run in loop.prefect.runs("train") if run["id"] != lost]
            return runs[0] if runs and runs[0]["state_type"] == "RUNNING" else None

        assert "start-2" in until(second, "it runs again", seconds=200)["tags"]
        before = loop.prefect.ask(f"flow_runs/{lost}", "GET")
        assert (before["state_type"], before["tags"]) == ("CRASHED", [])
        assert before["state"]["message"] == "its process is gone"
        assert f"flow run {before['name']} starts again as" in loop.output.read_text()


def ended(project: Path, *names: str, **settings: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "flows.up", *names],
        cwd=project,
        env=settings_of(project, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_a_taken_port_gets_one_sentence_and_starts_nothing(tmp_path):
    project = make_project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = ended(project, UNMASK_PORT=port)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: port {port}, which serve needs, is taken by process {os.getpid()}: "
        "stop that, or set UNMASK_PORT to a free port.\n"
    )
    assert list((project / ".unmask" / "logs").iterdir()) == []


def test_an_unknown_service_gets_one_sentence(tmp_path):
    done = ended(make_project(tmp_path), "page")
    assert done.returncode == 1
    assert "error: there is no service 'page': choose from mlflow, prefect" in done.stderr


def test_a_service_that_cannot_start_gives_its_last_lines_and_stops_all(tmp_path):
    project = make_project(tmp_path)
    url = "sqlite+aiosqlite:////no/such/folder/prefect.db"
    done = ended(project, "mlflow", "prefect", PREFECT_SERVER_DATABASE_CONNECTION_URL=url)
    assert done.returncode == 1
    assert "prefect ended with" in done.stderr
    assert "unable to open database file" in done.stderr
    assert marked(project) == []
