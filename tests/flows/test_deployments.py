"""The deployments of prefect.yaml on a real Prefect server with a worker."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from project import ROOT, copy_project, run_in
from ruamel.yaml import YAML
from team.prefect_api import PrefectApi
from team.services import free_port, until

from flows.processes import stop_processes

pytestmark = [pytest.mark.server, pytest.mark.timeout(1200)]


class Loop:
    """A project whose deployments are on a server of its own, with a worker."""

    def __init__(self, project: Path, port: int) -> None:
        self.project, self.prefect = project, PrefectApi(f"http://127.0.0.1:{port}/api")
        self.started: list[psutil.Process] = []

    def start(self, *command: str) -> None:
        """Start a server or a worker, which logs to a file named by its command's last word."""
        environment = {
            **os.environ,
            "PREFECT_HOME": str(self.project / "prefect-home"),
            "PREFECT_API_URL": self.prefect.url,
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "OMP_NUM_THREADS": "1",
        }
        with (self.project / f"{command[-1]}.log").open("w") as log:
            process = psutil.Popen(
                command,
                cwd=self.project,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)

    def start_worker(self, pool: str) -> None:
        self.start("prefect", "worker", "start", "--pool", pool)

    def stop(self) -> None:
        """End them, the last first; a worker may miss SIGTERM."""
        for process in reversed(self.started):
            stop_processes([process, *process.children(recursive=True)])

    def run(self, *command: str) -> str:
        done = run_in(self.project, *command, PREFECT_API_URL=self.prefect.url)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def one(self, deployment: str, state: str, **like) -> dict:
        """The first run of a deployment in a state that is like that."""

        def found() -> dict | None:
            some = [
                r
                for r in self.prefect.runs(deployment)
                if r["state_name"] == state and like.items() <= r.items()
            ]
            return some[0] if some else None

        return until(found, f"{deployment} is {state}", seconds=240)


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    project = copy_project(tmp_path_factory.mktemp("loop") / "project")
    yaml = YAML()
    document = yaml.load((ROOT / "prefect.yaml").read_text())
    names = ("retrain", "retrain-gpu", "promote")
    document["deployments"] = [d for d in document["deployments"] if d["name"] in names]
    document["deployments"][0]["schedules"] = [{"interval": 30, "slug": "weekly"}]
    with (project / "prefect.yaml").open("w") as file:
        yaml.dump(document, file)
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("promote: automatic", "promote: by_hand"))
    port = free_port()
    loop = Loop(project, port)
    try:
        loop.start("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port))
        until(loop.prefect.is_healthy, "the server answers")
        for pool in ("unmask", "gpu"):
            loop.run("prefect", "work-pool", "create", pool, "--type", "process")
        loop.run("prefect", "--no-prompt", "deploy", "--all")
        loop.start_worker("unmask")
        yield loop
    finally:
        loop.stop()


def test_a_scheduled_retraining_runs_and_so_does_one_that_drift_starts(loop):
    scheduled = loop.one("retrain", "Completed", auto_scheduled=True)
    assert scheduled["state"]["message"].startswith("nothing changed")
    deployment = loop.prefect.deployment("retrain")["id"]
    loop.prefect.ask(f"deployments/{deployment}/pause_deployment")  # one is enough; others wait
    code = (
        "from prefect.events import emit_event;"
        "emit_event('unmask.drift.confirmed',"
        " resource={'prefect.resource.id': 'unmask.model.unmask'},"
        " payload={'drift': 'd7', 'features': ['sharpness'], 'changes': {'seed': 0}})"
    )
    loop.run("python", "-c", code)
    started = loop.one("retrain", "Completed", parameters={"changes": {"seed": 0}, "drift": "d7"})
    assert started["state"]["message"].startswith("nothing changed")


def test_promotion_by_hand_waits_for_a_person_and_records_what_they_say(loop):
    code = (
        "from unmask.registry.release import import_release;"
        "from unmask.registry.versions import tag_verdict;"
        "reason = {'rule': 'better', 'holds': True, 'text': 'hole PSNR +1.0 dB'};"
        "tag_verdict(import_release(), {'summary': 'promoted', 'champion': None,"
        " 'reasons': [reason]})"
    )
    loop.run("python", "-c", code)
    for decision in ("refuse", "promote"):
        loop.run("prefect", "deployment", "run", "promote/promote", "--param", 'version="1"')
        asked = loop.one("promote", "Suspended")
        paused = f"Execution of flow run '{asked['id']}' is paused"
        log = loop.project / "unmask.log"
        until(lambda log=log, paused=paused: paused in log.read_text(), paused)
        path = f"flow_runs/{asked['id']}"
        keys = loop.prefect.ask(f"{path}/input/filter", prefix="", limit=9)
        assert "hole PSNR +1.0 dB" in str(keys)
        said = {"decision": decision, "why": f"{decision} by Ada", "who": "Ada"}

        def accepted(path: str = path, said: dict = said) -> bool:
            return loop.prefect.ask(f"{path}/resume", run_input=said)["status"] == "ACCEPT"

        until(accepted, "the decision is taken")
        loop.one("promote", "Completed", id=asked["id"])
        aliases = loop.run("unmask", "models", "list")
        assert ("champion" in aliases) == (decision == "promote")
    refused, promoted = loop.run("unmask", "models", "history").splitlines()
    assert "kept, not 1  Ada: refuse by Ada" in refused
    assert "- -> 1  Ada: promote by Ada" in promoted


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_retraining_in_the_gpu_pool_is_handed_over_and_asks_for_cuda(loop):
    params = loop.project / "params.yaml"
    before = params.read_text()
    params.write_text(before.replace("pool: unmask", "pool: gpu"))
    loop.run("prefect", "deployment", "run", "retrain/retrain", "--param", 'drift="d8"')
    handed = loop.one("retrain", "Completed", parameters={"drift": "d8"})
    message = handed["state"]["message"]
    (waiting,) = [run for run in loop.prefect.runs("retrain-gpu") if message.endswith(run["name"])]
    assert message == f"handed to the work pool gpu as {waiting['name']}"
    assert waiting["parameters"] == {"changes": None, "drift": "d8"}
    loop.start_worker("gpu")  # it stays: a scheduled run may be ahead, and the limit is one
    failed = loop.one("retrain-gpu", "Failed", id=waiting["id"])
    params.write_text(before)
    assert "this machine has no CUDA device" in failed["state"]["message"]
