"""`unmask serve` with MLflow's real server."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import mlflow
import numpy as np
import psutil
import pytest
import torch
from champion import make_champion
from project import DVC_YAML, ROOT, run_in
from scraped import figures
from team.services import until

from unmask.config.profiles import use_profile
from unmask.inference.pictures import decode_picture, from_base64
from unmask.masking.samples import write_samples
from unmask.models.stored import load_network, save_network
from unmask.networks import METADATA, PARAMS, RELEASED
from unmask.project import tracking_uri
from unmask.registry.champions import roll_back
from unmask.registry.versions import CHAMPION, NAME, register, version_of
from unmask.store import connect

pytestmark = pytest.mark.server

BROKEN = """
import mlflow
from mlflow.pyfunc import PythonModel

class Broken(PythonModel):
    def predict(self, context, model_input, params=None):
        raise ValueError("a secret")

mlflow.models.set_model(Broken())
"""


class Served:
    """A running `unmask serve`."""

    def __init__(self, project: Path, *options: str) -> None:
        self._log = project / "serve.log"
        environment = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                ["unmask", "serve", "--port", "0", "--workers", "2", *options],
                cwd=project,
                env={**environment, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )
        address = until(
            lambda: self.log.partition(" is open")[0] if "is open" in self.log else "",
            "it is open",
            240,
        )
        self.client = httpx.Client(base_url=address, timeout=200, trust_env=False)
        until(
            lambda: self.client.get("/health").status_code == 200 or self.process.poll(),
            "it is ready",
            240,
        )
        assert self.process.poll() is None, self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def ask(self, picture: bytes, **params) -> httpx.Response:
        record = {"image": base64.b64encode(picture).decode()}
        document = {"dataframe_records": [record], "params": params}
        return self.client.post("/invocations", json=document)

    def version(self) -> dict:
        return self.client.get("/version").json()

    def figures(self) -> dict[tuple, float]:
        """What Prometheus's own parser reads, by name and labels' values."""
        return figures(self.client.get("/metrics").text)

    def serves(self, version: str) -> None:
        until(lambda: self.version()["version"] == version, f"version {version} serves", 240)


@contextmanager
def served(project: Path, *options: str) -> Iterator[Served]:
    server = Served(project, *options)
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(60)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """A project in which nothing is registered yet, as the working directory."""
    folder = tmp_path_factory.mktemp("serving") / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(DVC_YAML)
    use_profile("cpu", ROOT / "conf", folder / "params.yaml")
    write_samples(folder / "faces", 2, 128, 1, masked=True)
    write_samples(folder / "bare", 1, 160, 2, masked=False)
    (folder / "bare" / "face-0000.png").rename(folder / "faces" / "bare.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield folder


@pytest.fixture(scope="module")
def server(project) -> Iterator[Served]:
    assert version_of(CHAMPION) is None
    with served(project, "--most-megabytes", "1", "--most-seconds", "180") as running:
        assert running.version()["version"] == "1"  # nothing was registered: the released weights
        yield running


def register_changed(models: Path, bias: float) -> str:
    """Register the released networks with another guess of gender; returns the version."""
    section = json.loads((RELEASED / "gender" / PARAMS).read_text())
    metadata = json.loads((RELEASED / "gender" / METADATA).read_text())
    del section["name"], metadata["weights_md5"]
    shutil.copytree(RELEASED, models, dirs_exist_ok=True)
    network = load_network(RELEASED / "gender")
    *_, last = (p for n, p in network.named_parameters() if n.endswith("bias"))
    torch.nn.init.constant_(last, bias)
    save_network(network, "gender", section, metadata, models / "gender")
    return str(register(models, lambda: "a card"))


@pytest.fixture(scope="module")
def versions(project, server) -> Path:
    """Beside version 1, which the server registered: 2, which guesses gender otherwise, 3, which
    is damaged, and 4, which cannot restore."""
    assert register_changed(project / "models", 3.0) == "2"
    assert register_changed(project / "models", 5.0) == "3"
    stored = connect().get_model_version_download_uri(NAME, "3")
    local = Path(mlflow.artifacts.download_artifacts(stored))
    weights = next(local.glob("**/gender/model.onnx"))
    weights.write_bytes(weights.read_bytes()[:-1])
    (project / "broken.py").write_text(BROKEN)
    mlflow.pyfunc.log_model(
        name=NAME, python_model=str(project / "broken.py"), registered_model_name=NAME
    )
    return project


@pytest.fixture
def picture(versions) -> bytes:
    return (versions / "faces" / "face-0000.png").read_bytes()


def guess(answer: httpx.Response) -> float:
    """What tells version 2 from 1."""
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]["faces"][0]["gender_male"]


class Clients:
    """Four clients that ask without a pause; each keeps its answers in order."""

    def __init__(self, server: Served, picture: bytes) -> None:
        self._stop, self._pool = threading.Event(), ThreadPoolExecutor(4)
        self.answers: list[list[httpx.Response]] = [[] for _ in range(4)]
        self._running = [
            self._pool.submit(self._go, server, picture, kept) for kept in self.answers
        ]

    def _go(self, server: Served, picture: bytes, kept: list[httpx.Response]) -> None:
        while not self._stop.is_set():
            kept.append(server.ask(picture, crop=True))

    def each_has(self, more: int) -> None:
        """Wait until every client has so many more answers."""
        before = [len(kept) for kept in self.answers]
        until(
            lambda: all(
                len(kept) >= n + more for kept, n in zip(self.answers, before, strict=True)
            ),
            f"each client has {more} more answers",
            240,
        )

    def end(self) -> list[list[httpx.Response]]:
        self._stop.set()
        for running in self._running:
            running.result()
        self._pool.shutdown()
        return self.answers


def test_the_served_answer_is_the_commands(server, project):
    for options, params in (
        (("--samples", "2", "--seed", "3"), {"samples": 2, "seed": 3}),
        (("--crop", "--gender", "male"), {"crop": True, "gender": "male"}),
    ):
        done = run_in(project, "unmask", "restore", "faces", "-o", "out", "--save-masks", *options)
        assert done.returncode == 0, done.stderr
        statuses = []
        for file in sorted((project / "faces").iterdir()):
            (row,) = server.ask(file.read_bytes(), **params).json()["predictions"]
            written = project / "out" / file.stem
            assert (
                row["faces"]
                == json.loads(written.with_suffix(".restored.json").read_text())["faces"]
            )
            statuses += [face["status"] for face in row["faces"]]
            pairs = [(row["image"], ".restored.png"), (row["mask"], ".mask.png")]
            pairs += [(s, f".sample-{i}.png") for i, s in enumerate(row["samples"], 1)]
            for text, suffix in pairs:
                picture = decode_picture(written.with_suffix(suffix).read_bytes(), suffix)
                np.testing.assert_array_equal(from_base64(text, suffix).pixels, picture)
            assert len(row["samples"]) == params.get("samples", 0)
        assert set(statuses) == {"restored", "no_mask"}


def test_promotion_and_rollback_lose_no_request(server, picture):
    make_champion("1", "test")
    server.serves("1")
    first = guess(server.ask(picture, crop=True))
    clients = Clients(server, picture)
    clients.each_has(2)
    make_champion("2", "better")
    server.serves("2")
    clients.each_has(2)
    roll_back("worse after all")
    server.serves("1")
    clients.each_has(2)
    for answers in clients.end():
        guesses = [guess(answer) for answer in answers]
        changes = [b for a, b in zip([None, *guesses], guesses, strict=False) if a != b]
        assert len(changes) == 3
        assert changes[0] == changes[2] == first != changes[1]
    assert len(server.processes()) == 2


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("3", "gender/model.onnx is damaged"),
        ("4", "models:/unmask/4 holds no networks, so it was not made by unmask"),
    ],
)
def test_a_broken_champion_leaves_the_old_one_serving(server, picture, version, why):
    make_champion("1", "test")
    server.serves("1")
    before = guess(server.ask(picture))
    make_champion(version, "broken")
    trouble = until(lambda: server.version()["trouble"], "there is trouble", 240)
    assert why in trouble
    assert trouble in server.log
    assert "secret" not in server.log
    assert guess(server.ask(picture)) == before
    make_champion("1", "back")
    until(lambda: server.version()["trouble"] is None, "the trouble is over", 240)
    assert server.version()["version"] == "1"


def test_a_deleted_champion_serves_on_until_it_is_rolled_back(server, picture, versions):
    doomed = register_changed(versions / "models", 7.0)
    make_champion("1", "test")
    make_champion(doomed, "better")
    server.serves(doomed)
    clients = Clients(server, picture)
    clients.each_has(1)
    connect().delete_model_version(NAME, doomed)
    trouble = until(lambda: server.version()["trouble"], "there is trouble", 60)
    assert f"the champion, version {doomed}, is gone: its version was deleted" in trouble
    assert "unmask models rollback" in trouble
    assert server.version()["version"] == doomed
    assert server.figures()["unmask_trouble",] == 1
    for command in (["restore", "faces", "-o", "gone"], ["models", "promote", "2"]):
        done = run_in(versions, "unmask", *command)
        assert done.returncode == 1
        assert "unmask models rollback" in done.stderr, command
    clients.each_has(2)
    roll_back("deleted by mistake")
    server.serves("1")
    clients.each_has(1)
    assert all(guess(answer) >= 0 for kept in clients.end() for answer in kept)
    assert server.version()["trouble"] is None
    figures = server.figures()
    assert figures["unmask_trouble",] == 0
    assert figures["unmask_model_info", server.version()["trained_on"], "1"] == 1
    assert figures["unmask_faces_total", "restored"] >= 4 * 4
    assert 0 < time.time() - figures["unmask_last_training_timestamp_seconds",] < 3600


def test_killed_workers_are_started_again(server, picture):
    make_champion("1", "test")
    server.serves("1")
    clients = Clients(server, picture)
    clients.each_has(1)
    killed = server.processes()
    for process in killed:
        process.kill()
    clients.each_has(2)
    assert len({guess(answer) for kept in clients.end() for answer in kept}) == 1
    assert not {p.pid for p in killed} & {p.pid for p in server.processes()}


def test_mistakes_are_told_over_http(server, picture):
    assert "unknown param 'colour'" in server.ask(picture, colour=1).json()["message"]
    assert server.ask(picture, gender="x").status_code == 400
    assert server.ask(b"no picture").json()["message"].startswith("row 0: not an image")
    assert server.ask(bytes(3_000_000)).status_code == 413
    assert server.client.post("/invocations", content=b"x").status_code == 415
    assert server.client.get("/invocations").status_code == 405
    assert guess(server.ask(picture)) >= 0


def reachable(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_mlflow_s_own_server_gives_the_same_answer(server, picture):
    make_champion("1", "test")
    server.serves("1")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    command = ["mlflow", "models", "serve", "--env-manager", "local", "--workers", "1"]
    given = ["--model-uri", f"models:/{NAME}/1", "--port", port]
    address = f"http://127.0.0.1:{port}"
    document = {"inputs": [base64.b64encode(picture).decode()], "params": {"crop": True}}
    with Path("mlflow.log").open("wb") as log:
        process = psutil.Popen(
            command + given,
            env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri(), "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until(lambda: reachable(f"{address}/ping"), "MLflow's server answers", 240)
        answer = httpx.post(f"{address}/invocations", json=document, timeout=200)
        (theirs,), (ours,) = (
            given.json()["predictions"] for given in (answer, server.ask(picture, crop=True))
        )
        images = [from_base64(row.pop("image"), "its image") for row in (theirs, ours)]
        np.testing.assert_array_equal(images[0].pixels, images[1].pixels)
        said = [image.metadata.text["Software"] for image in images]
        assert said == ["unmask, model unmask", f"unmask, model {NAME}/1"]
        masks = [from_base64(row.pop("mask"), "its mask").pixels for row in (theirs, ours)]
        np.testing.assert_array_equal(*masks)
        assert theirs == ours
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_behind(versions, number):
    make_champion("1", "test")
    with served(versions) as running:
        processes = running.processes()
        assert len(processes) == 2
        running.process.send_signal(number)
        running.process.wait(60)
        _, alive = psutil.wait_procs(processes, timeout=30)
        assert [p for p in alive if p.status() != psutil.STATUS_ZOMBIE] == []


def test_a_first_champion_that_does_not_start_is_an_error(versions):
    make_champion("3", "damaged")
    done = run_in(versions, "unmask", "serve", "--port", "0")
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_named(server, project):
    port = str(server.client.base_url.port)
    done = run_in(project, "unmask", "serve", "--port", port)
    assert done.returncode == 1
    assert f"port {port} cannot be served on" in done.stderr
