import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from project import DVC_YAML

from unmask import store
from unmask.config.params import NETWORKS
from unmask.errors import TEMPORARY, UnmaskError
from unmask.networks import METADATA
from unmask.project import tracking_uri
from unmask.stages.evaluate import _training_runs as training_runs
from unmask.store import StoreAwayError, connect
from unmask.tracking import WEIGHTS, end_killed_runs, parent_run, stage_run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # so that what mlflow sets is undone
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("UNMASK_PIPELINE_ID", raising=False)
    yield tmp_path
    while mlflow.active_run():
        mlflow.end_run()


def test_default_store_is_absolute_and_independent_of_the_folder(project, monkeypatch):
    expected = f"sqlite:///{project.resolve() / 'mlflow.db'}"
    assert tracking_uri() == expected
    (project / "deeper").mkdir()
    monkeypatch.chdir(project / "deeper")
    assert tracking_uri() == expected


def test_a_store_is_opened_once_until_another_is_named(project, tmp_path_factory, monkeypatch):
    opened, client = [], store.MlflowClient

    def count() -> mlflow.MlflowClient:
        opened.append(mlflow.get_tracking_uri())
        return client()

    monkeypatch.setattr(store, "MlflowClient", count)
    first = connect(create=True)
    assert connect() is first
    assert opened == [tracking_uri()]
    other = tmp_path_factory.mktemp("other")
    (other / "dvc.yaml").write_text(DVC_YAML)
    (other / "params.yaml").write_text("seed: 0\n")
    for place in (other, project):
        monkeypatch.chdir(place)
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # mlflow itself sets it
        with stage_run("evaluate", {}) as run:
            pass
        assert connect().get_run(run.id).info.artifact_uri.startswith(place.as_uri())
    assert len(opened) == 3


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def test_a_server_that_went_away_is_noticed_though_it_was_opened(project, monkeypatch):
    opened = []

    def opening(uri: str) -> SimpleNamespace:
        opened.append(uri)
        return SimpleNamespace(get_experiment_by_name=lambda name: name)

    monkeypatch.setattr(mlflow, "get_tracking_uri", store.tracking_uri)
    monkeypatch.setattr(store, "_open", lru_cache(opening))
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        uri = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        thread = Thread(target=server.serve_forever)
        thread.start()
        connect()
        server.shutdown()
        thread.join()
    with pytest.raises(StoreAwayError, match="cannot be used"):
        connect()
    assert opened == [uri]


def test_stage_runs_are_children_of_one_parent(project):
    with stage_run("train@gender", {"unmask.data_md5": "x"}) as first:
        first.metrics({"loss": 1.0}, step=1)
        first.text("note", "notes/a.txt")
        client = connect()
        assert client.get_run(first.parent_id).info.status == "RUNNING"
    with stage_run("train@landmarks", {}) as second:
        pass
    assert first.parent_id == second.parent_id == parent_run(client)
    assert client.get_run(first.parent_id).info.status == "FINISHED"
    child = client.get_run(first.id)
    assert child.data.tags["mlflow.parentRunId"] == first.parent_id
    assert child.data.tags["unmask.stage"] == "train@gender"
    assert list((project / "mlartifacts").rglob("notes/a.txt"))


def test_failed_stage_is_marked_failed(project):
    with pytest.raises(RuntimeError, match="broken"), stage_run("evaluate", {}) as run:
        raise RuntimeError("broken")
    client = connect()
    assert client.get_run(run.id).info.status == "FAILED"
    assert client.get_run(run.parent_id).info.status == "FAILED"


def test_metric_that_is_not_finite_is_refused_by_name(project):
    with stage_run("evaluate", {}) as run, pytest.raises(FloatingPointError, match="'loss' is nan"):
        run.metrics({"loss": float("nan")})


def test_pipeline_id_from_the_environment_makes_another_parent(project, monkeypatch):
    with stage_run("evaluate", {}) as first:
        pass
    monkeypatch.setenv("UNMASK_PIPELINE_ID", "another")
    assert parent_run(connect()) != first.parent_id


def test_a_stage_that_is_tried_again_keeps_its_parent(project):
    with pytest.raises(RuntimeError), stage_run("train@gender", {}) as failed:
        raise RuntimeError
    with stage_run("train@gender", {}) as again:
        pass
    assert again.parent_id == failed.parent_id


_KILLED = """
import os, signal
from unmask.tracking import stage_run
with stage_run("train@gender", {}):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_run_of_a_killed_stage_ends_at_the_next(project):
    killed = subprocess.run([sys.executable, "-c", _KILLED], cwd=project, check=False)
    assert killed.returncode == -signal.SIGKILL
    client = connect(create=True)
    (experiment,) = client.search_experiments(filter_string="name = 'unmask'")
    stage, parent = client.search_runs(
        [experiment.experiment_id], order_by=["attributes.run_name DESC"]
    )
    assert (stage.info.run_name, stage.info.status) == ("train@gender", "RUNNING")
    with stage_run("train@gender", {}) as again:
        assert client.get_run(stage.info.run_id).info.status == "KILLED"
        assert end_killed_runs(client) == []
        assert client.get_run(again.id).info.status == "RUNNING"
    assert again.parent_id == parent.info.run_id
    assert client.get_run(parent.info.run_id).info.status == "FINISHED"


def test_runs_of_other_machines_are_left_alone(project):
    with stage_run("train@gender", {}) as run:
        client = connect()
        client.set_tag(run.id, "unmask.process", f"elsewhere {os.getpid()} 1.0")
        assert end_killed_runs(client) == []
        client.set_tag(run.id, "unmask.process", f"{socket.gethostname()} {os.getpid()} 1.0")
        assert end_killed_runs(client) == [run.id]  # another process has that number now
        assert client.get_run(run.parent_id).info.status == "KILLED"


def test_evaluate_names_the_finished_run_that_trained_a_network(project):
    for name in NETWORKS:
        (project / "models" / name).mkdir(parents=True)
        document = json.dumps({"weights_md5": f"of {name}"})
        (project / "models" / name / METADATA).write_text(document)
    with stage_run("train@gender", {WEIGHTS: "of gender"}) as finished:
        pass
    for name in ("gender", "landmarks"):
        with pytest.raises(RuntimeError), stage_run(f"train@{name}", {WEIGHTS: f"of {name}"}):
            raise RuntimeError
    assert training_runs(project / "models") == {"unmask.run.train.gender": finished.id}


def test_unreachable_server_gets_one_sentence(project, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    with pytest.raises(UnmaskError, match=rf"127\.0\.0\.1:{port} cannot be used") as caught:
        connect()
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_moved_store_gets_one_sentence(project, tmp_path_factory, monkeypatch):
    with stage_run("evaluate", {}):
        pass
    moved = tmp_path_factory.mktemp("moved")
    (moved / "dvc.yaml").write_text(DVC_YAML)
    with (
        sqlite3.connect(project / "mlflow.db") as source,
        sqlite3.connect(moved / "mlflow.db") as copy,
    ):
        source.backup(copy)
    monkeypatch.chdir(moved)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # mlflow itself sets it
    with pytest.raises(UnmaskError, match=r"moved or copied.*models sync.*--model release"):
        connect()


@pytest.mark.parametrize(
    ("said", "helps", "temporary"),
    [
        ("(sqlite3.OperationalError) database or disk is full", "free space", False),
        ("(sqlite3.OperationalError) attempt to write a readonly database", "writable", False),
        ("(sqlite3.DatabaseError) database disk image is malformed", "from a backup", False),
        ("(sqlite3.OperationalError) database is locked", "try again", True),
        ("Connection refused", "start it", True),
    ],
)
def test_only_where_waiting_helps_a_store_s_error_is_temporary(said, helps, temporary):
    error = store.unusable("sqlite:///mlflow.db", MlflowException(said))
    assert helps in str(error)
    assert said[:40] in str(error)
    assert (error.status == TEMPORARY) == temporary
