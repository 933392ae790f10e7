"""The smoke pipeline on PostgreSQL and S3, whose database is killed in mid-run."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from project import copy_project
from team.loop import Loop, running
from team.services import Postgres, binaries, object_store, postgres, team_settings, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        binaries() is None, reason="no PostgreSQL here: run `apt-get install postgresql`"
    ),
]

STAGES = {
    "faces",
    "masked",
    "train@gender",
    "train@landmarks",
    "train@segmentation",
    "train@inpainting",
    "evaluate",
    "register",
    "gate",
}


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
        output = project / "flow.log"
        with output.open("wb") as log:
            flow = subprocess.Popen(
                ["python", "-m", "flows.train"],
                cwd=project,
                env=loop.clients,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

        def goes_on(condition: bool) -> bool:
            assert flow.poll() is None, output.read_text()
            return condition

        until(lambda: goes_on(team.is_running("train@gender")), "the first training", 600)
        database.kill()
        until(lambda: goes_on('HTTP/1.1" 503' in loop.log("mlflow")), "MLflow's refusal")
        until(lambda: goes_on("exception in request" in loop.log("prefect")), "Prefect's refusal")
        database.start()
        assert flow.wait(timeout=800) == 0, output.read_text()
        yield team


def test_every_run_is_finished(team):
    rows = team.database.query("mlflow", "select name, status from runs")
    assert {status for _, status in rows} == {"FINISHED"}
    assert {name for name, _ in rows if not name.startswith("pipeline-")} == STAGES
    assert len(rows) == len(STAGES) + 1


def test_prefect_knows_the_flow_and_its_tasks_as_completed(team):
    text = "select f.name, r.state_type::text from flow_run r join flow f on f.id = r.flow_id"
    assert team.database.query("prefect", text) == [("train", "COMPLETED")]
    states = {
        state for (state,) in team.database.query("prefect", "select state_name from task_run")
    }
    assert states == {"Completed"}


def test_artifacts_are_in_the_bucket_alone(team):
    client = boto3.client("s3", endpoint_url=team.store["AWS_ENDPOINT_URL"])
    keys = [entry["Key"] for entry in client.list_objects_v2(Bucket="mlflow")["Contents"]]
    assert any(key.endswith("MLmodel") for key in keys)
    assert any(key.endswith("inpainting/model.safetensors") for key in keys)
    assert not (team.project / "mlartifacts").exists()
    assert not (team.project / "mlflow.db").exists()


def test_the_champion_is_loaded_from_the_bucket(team):
    assert "champion" in team.succeed("unmask", "models", "list")
    team.succeed("unmask", "faces", "sample", "-o", "in", "--count", "1", "--masked")
    team.succeed("unmask", "restore", "in", "-o", "out", "--crop")
    assert json.loads((team.project / "out" / "face-0000.json").read_text())["model"] == "unmask/1"


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
