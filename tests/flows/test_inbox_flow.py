"""The inbox by the real flow in processes of its own, against a real Prefect server."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from project import ROOT, change_params, copy_project, run_in
from team.buckets import bucket_named
from team.prefect_api import PrefectApi
from team.services import free_port, until

from flows.processes import stop_processes
from unmask.inbox.storage import Bucket

pytestmark = pytest.mark.server

COUNT, END = 24, ".restored.json"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prefect server with a database of its own."""
    home = tmp_path_factory.mktemp("prefect")
    port = free_port()
    with (home / "server.log").open("w") as log:
        server = psutil.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env={**os.environ, "PREFECT_HOME": str(home)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    api = PrefectApi(f"http://127.0.0.1:{port}/api")

    def healthy() -> bool:
        assert server.poll() is None, (home / "server.log").read_text()
        return api.is_healthy()

    try:
        until(healthy, "a Prefect server's health", seconds=240)
        yield api.url
    finally:
        stop_processes([server, *server.children(recursive=True)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Masked synthetic faces, by their files' names."""
    folder = tmp_path_factory.mktemp("photos")
    count, size = str(COUNT), "64"
    command = ["unmask", "faces", "sample", "--masked", "--count", count, "--size", size]
    subprocess.run([*command, "-o", str(folder)], check=True)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def project(tmp_path: Path, photos: dict[str, bytes]) -> Path:
    """A project with photos in its inbox."""
    folder = copy_project(tmp_path / "project")
    change_params(folder, "inbox", batch_size=7, settle_seconds=0.0, crop=True)
    new = folder / "data" / "inbox" / "new"
    new.mkdir(parents=True)
    for name, content in photos.items():
        (new / name).write_bytes(content)
    return folder


@contextmanager
def started(project: Path, api: str) -> Iterator[subprocess.Popen]:
    """The flow in a process that is killed at the end, with all that it started."""
    with (project / "flow.log").open("a") as log:
        flow = subprocess.Popen(
            [sys.executable, "-m", "flows.inbox"],
            cwd=project,
            env={**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(ROOT / "src")},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield flow
    finally:
        os.killpg(flow.pid, signal.SIGKILL)
        flow.wait()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def answers(project: Path) -> int:
    return len(list((project / "data/inbox/restored").glob("*.json")))


def states(api: str, begun: set[str]) -> dict[str, str]:
    """State names of the flow runs since some were there."""
    runs = PrefectApi(api).ask("flow_runs/filter")
    return {run["id"]: run["state_name"] for run in runs if run["id"] not in begun}


def test_killed_three_times_each_photo_is_restored_once(project, photos, api):
    inbox, begun = project / "data" / "inbox", set(states(api, set()))
    (inbox / "new" / "again.png").write_bytes(photos["face-0000.png"])
    (inbox / "new" / "broken.png").write_bytes(b"no photo")
    expected = project / "expected"
    for name, content in photos.items():
        (project / "given").mkdir(exist_ok=True)
        (project / "given" / name).write_bytes(content)
    command = ["unmask", "restore", "given", "-o", str(expected), "--crop", "--save-masks"]
    assert run_in(project, *command).returncode == 0
    for kill in range(3):
        goal = answers(project) + kill + 1
        with started(project, api) as flow:
            until(lambda goal=goal: answers(project) >= goal, "progress", seconds=240)
            assert flow.poll() is None, (project / "flow.log").read_text()
            if kill == 0:
                flow.send_signal(signal.SIGSTOP)  # it holds the inbox, however long the other takes
                other = run_in(project, "python", "-m", "flows.inbox", PREFECT_API_URL=api)
                assert "another run is at work" in other.stdout + other.stderr
    assert 3 < answers(project) < COUNT
    done = run_in(project, "python", "-m", "flows.inbox", PREFECT_API_URL=api)
    assert done.returncode == 0, done.stdout + done.stderr
    assert names(inbox / "new") == names(inbox / "work") == []
    keys = {name: sha256(content).hexdigest()[:16] for name, content in photos.items()}
    found = {path.name: path.read_bytes() for path in (inbox / "restored").iterdir()}
    assert len(found) == 3 * COUNT
    for name, key in keys.items():
        stem = name.removesuffix(".png")
        (written,) = {n.removesuffix(END) for n in found if n.endswith(f"{key}{END}")}
        for ending in (".restored.png", ".mask.png"):
            assert found[written + ending] == (expected / f"{stem}{ending}").read_bytes()
        restored_by_hand = json.loads((expected / f"{stem}{END}").read_text())
        assert json.loads(found[written + END])["faces"] == restored_by_hand["faces"]
    kept = Counter(path.read_bytes() for path in (inbox / "done").iterdir())
    assert kept == Counter(photos.values()) + Counter([photos["face-0000.png"]])
    broken = f"broken-{sha256(b'no photo').hexdigest()[:16]}.png"
    assert names(inbox / "failed") == [broken, f"{broken}.txt"]
    batches = (project / ".unmask" / "batches").glob("*.parquet")
    assert sum(pq.read_metadata(path).num_rows for path in batches) == COUNT
    assert Counter(states(api, begun).values()) == {"Crashed": 3, "Skipped": 1, "Completed": 1}


def test_a_bucket_is_restored_like_a_folder(project, photos, api):
    with bucket_named("photos"):
        bucket = Bucket("s3://photos/inbox")
        for name, content in list(photos.items())[:3]:
            bucket.write(f"new/{name}", content)
        change_params(project, "inbox", url="s3://photos/inbox")
        done = run_in(project, "python", "-m", "flows.inbox", PREFECT_API_URL=api)
        assert done.returncode == 0, done.stdout + done.stderr
        counts = {f: len(bucket.files(f)) for f in ("new", "work", "restored", "done", "failed")}
        assert counts == {"new": 0, "work": 0, "restored": 9, "done": 3, "failed": 0}
        assert names(project / "data" / "inbox" / "new") == sorted(photos)


def test_without_its_model_the_flow_fails_and_the_photos_stay(project, photos, api):
    done = run_in(
        project, "python", "-m", "flows.inbox", "--model", "models:/unmask/99", PREFECT_API_URL=api
    )
    assert done.returncode != 0
    assert "RegistryError" in done.stdout + done.stderr
    assert names(project / "data" / "inbox" / "new") == sorted(photos)
    assert answers(project) == 0
