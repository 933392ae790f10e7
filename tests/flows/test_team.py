"""The smoke pipeline on PostgreSQL and S3, whose database is killed in mid-run."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from project import STAGES, copy_project
from team.loop import Loop, running
from team.services import (
    Postgres,
    binaries,
    client_of,
    object_store,
    postgres,
    team_settings,
    until,
)

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        binaries() is None, reason="no PostgreSQL here: run `apt-get install postgresql`"
    ),
]

RUNS = STAGES | {"gate"}
REFUSAL = "Encountered exception in request"  # of Prefect's server
OUTAGE = """
import sys
import time
from pathlib import Path

import flows  # its settings
from prefect import flow


@flow(name="outage")
def outage(end):
    while not Path(end).exists():
        time.sleep(0.1)


outage(sys.argv[1])
"""


@dataclass
class Flow:
    """A flow that runs in the project's folder."""

    process: subprocess.Popen
    output: Path

    def goes_on(self, condition: bool = True) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        return condition

    def succeed(self) -> None:
        assert self.process.wait(timeout=800) == 0, self.output.read_text()


@dataclass
class Team:
    project: Path
    loop: Loop
    database: Postgres
    store: dict[str, str]

    def succeed(self, *command: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            command,
            cwd=cwd or self.project,
            env=self.loop.clients,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def flow(self, *arguments: str) -> Iterator[Flow]:
        output = self.project / "flow.log"
        with output.open("wb") as log:
            process = subprocess.Popen(
                ["python", *arguments],
                cwd=self.project,
                env=self.loop.clients,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Flow(process, output)
        finally:
            process.terminate()
            process.wait()

    def is_running(self, stage: str) -> bool:
        text = f"select 1 from runs where name = '{stage}' and status = 'RUNNING'"
        return bool(self.database.query("mlflow", text))


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """A project whose train flow ran while the database was killed and started again."""
    project = copy_project(tmp_path_factory.mktemp("team") / "project")
    with (
        postgres() as database,
        object_store() as store,
        running(project, "mlflow", "prefect", **team_settings(database, store)) as loop,
    ):
        team = Team(project, loop, database, store)
        with team.flow("-m", "flows.train") as flow:
            until(lambda: flow.goes_on(team.is_running("train@gender")), "the training", 600)
            database.kill()
            refused = 'HTTP/1.1" 503'
            until(lambda: flow.goes_on(refused in loop.log("mlflow")), "MLflow's refusal")
            database.start()
            flow.succeed()
        yield team


def test_every_run_is_finished(team):
    rows = team.database.query("mlflow", "select name, status from runs")
    assert {status for _, status in rows} == {"FINISHED"}
    assert {name for name, _ in rows if not name.startswith("pipeline-")} == RUNS
    assert len(rows) == len(RUNS) + 1


def test_prefect_knows_the_flow_and_its_tasks_as_completed(team):
    text = "select r.state_name from flow_run r join flow f on f.id = r.flow_id"
    assert team.database.query("prefect", f"{text} where f.name = 'train'") == [("Completed",)]
    states = {
        state for (state,) in team.database.query("prefect", "select state_name from task_run")
    }
    assert states == {"Completed"}


def test_a_flow_that_ends_while_the_database_is_down_waits_for_it(team, tmp_path):
    (team.project / "outage.py").write_text(OUTAGE)
    signal = tmp_path / "end"
    with team.flow("outage.py", str(signal)) as flow:
        text = "select r.state_name from flow_run r join flow f on f.id = r.flow_id where f.name = "

        def state() -> list[tuple]:
            return flow.goes_on() and team.database.query("prefect", f"{text} 'outage'")

        until(lambda: state() == [("Running",)], "the flow runs")
        refusals = team.loop.log("prefect").count(REFUSAL)
        team.database.kill()
        signal.touch()
        until(lambda: team.loop.log("prefect").count(REFUSAL) > refusals, "Prefect's refusal")
        team.database.start()
        flow.succeed()
    assert team.database.query("prefect", f"{text} 'outage'") == [("Completed",)]


def test_artifacts_are_in_the_bucket_alone(team):
    listed = client_of(team.store).list_objects_v2(Bucket="mlflow")
    keys = [entry["Key"] for entry in listed["Contents"]]
    assert any(key.endswith("MLmodel") for key in keys)
    assert any(key.endswith("inpainting/model.safetensors") for key in keys)
    assert not (team.project / "mlartifacts").exists()
    assert not (team.project / "mlflow.db").exists()


def test_the_champion_is_loaded_from_the_bucket(team):
    assert "champion" in team.succeed("unmask", "models", "list")
    team.succeed("unmask", "faces", "sample", "-o", "in", "--count", "1", "--masked")
    team.succeed("unmask", "restore", "in", "-o", "out", "--crop")
    assert (
        json.loads((team.project / "out" / "face-0000.restored.json").read_text())["model"]
        == "unmask/1"
    )


def test_a_fresh_clone_pulls_the_same_weights(team, tmp_path):
    address = team.store["AWS_ENDPOINT_URL"]
    team.succeed("dvc", "remote", "add", "--default", "team", "s3://dvc/cache")
    team.succeed("dvc", "remote", "modify", "--local", "team", "endpointurl", address)
    team.succeed("dvc", "push", "--quiet")
    team.succeed("git", "add", "dvc.lock", ".dvc/config")
    team.succeed("git", "commit", "-qm", "trained")
    clone = tmp_path / "clone"
    team.succeed("git", "clone", "-q", str(team.project), str(clone))
    team.succeed("dvc", "remote", "modify", "--local", "team", "endpointurl", address, cwd=clone)
    team.succeed("dvc", "pull", "--quiet", "train@inpainting", cwd=clone)
    weights = Path("models") / "inpainting" / "model.safetensors"
    digests = {
        hashlib.md5((root / weights).read_bytes()).hexdigest() for root in (team.project, clone)
    }
    assert len(digests) == 1
