"""The work of stages and commands on a Dask cluster, as its own commands start one."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import work_elsewhere
from project import DVC_YAML, ROOT, change_params
from team.dask import Dask, dask_with
from team.services import free_port, until

from unmask import cluster
from unmask.config.params import load_params
from unmask.config.profiles import use_profile
from unmask.errors import UnmaskError
from unmask.masking import dataset as masking
from unmask.masking.samples import write_samples
from unmask.parallel import ordered_map

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    with dask_with(2, tmp_path_factory.mktemp("dask")) as (started, _):
        yield started


def test_work_is_yielded_in_order_and_its_errors_pass(dask):
    done = ordered_map(work_elsewhere.square, iter(range(300)), 1, cluster=dask.address)
    assert list(done) == [number * number for number in range(300)]
    with pytest.raises(ValueError, match="seven"):
        list(ordered_map(work_elsewhere.square, range(770, 790), 1, cluster=dask.address))


def test_a_worker_that_is_killed_costs_its_tasks_only(tmp_path):
    with dask_with(2, tmp_path) as (own, workers):
        done = ordered_map(work_elsewhere.square, iter(range(700)), 1, cluster=own.address)
        found = [next(done) for _ in range(70)]
        workers[0].kill()
        found += list(done)
        assert found == [number * number for number in range(700)]


def test_a_scheduler_that_dies_is_told_in_a_sentence(tmp_path):
    with dask_with(1, tmp_path) as (own, _):
        done = ordered_map(work_elsewhere.square, iter(range(700)), 1, cluster=own.address)
        next(done)
        own.scheduler.kill()
        with pytest.raises(UnmaskError, match="is gone: start it, and run this again"):
            list(done)


def test_what_a_cluster_lacks_is_told_before_any_work(dask, tmp_path):
    nobody = f"tcp://127.0.0.1:{free_port()}"
    cases = {
        nobody: "no Dask scheduler answers",
        dask.address: "sees no /nowhere/at/all: keep it on storage that all workers share",
    }
    cluster_seconds = cluster._SECONDS
    cluster._SECONDS = 2
    try:
        for address, told in cases.items():
            with pytest.raises(UnmaskError, match=told):
                next(ordered_map(abs, [1], 1, cluster=address, reads=[Path("/nowhere/at/all")]))
    finally:
        cluster._SECONDS = cluster_seconds
    with dask_with(0, tmp_path) as (own, _):
        until(lambda: _answers(own), "the scheduler answers")
        with pytest.raises(UnmaskError, match="has no workers: start them by `dask worker"):
            next(ordered_map(abs, [1], 1, cluster=own.address))
        own.worker(threads=2)
        own.wait_for(1)
        with pytest.raises(UnmaskError, match="has 2 threads: start it with"):
            next(ordered_map(abs, [1], 1, cluster=own.address))


def _answers(dask: Dask) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", dask.port)) == 0


def test_other_code_a_missing_module_and_a_missing_folder_are_lacks():
    code = cluster._code()
    assert cluster._lacks(["unmask.parallel"], code, ["/"]) == ""
    assert cluster._lacks([], "of another commit", []).startswith("runs other code of unmask")
    assert cluster._lacks(["unmask.nothing"], code, []).startswith("lacks unmask.nothing: ")


def test_masked_faces_have_the_bytes_of_one_process(dask, tmp_path, monkeypatch, capsys):
    shards = {}
    for name in (None, dask.address):
        folder = tmp_path / ("alone" if name is None else "shared")
        folder.mkdir()
        (folder / "dvc.yaml").write_text(DVC_YAML)
        use_profile("smoke", ROOT / "conf", folder / "params.yaml")
        change_params(folder, "faces", workers=1)
        text = (folder / "params.yaml").read_text()
        value = "null" if name is None else name
        (folder / "params.yaml").write_text(text.replace("cluster: null", f"cluster: {value}"))
        monkeypatch.chdir(folder)
        from unmask.faces.dataset import make

        params = load_params()
        make(params, Path("data"))
        masking.make(params, Path("data"))
        files = sorted(Path("data").rglob("*.parquet"))
        shards[name] = {str(file): file.read_bytes() for file in files}
    assert len(shards[None]) > 3
    assert shards[None] == shards[dask.address]
    assert "2 workers of Dask at tcp://" in capsys.readouterr().err


def test_restored_photos_have_the_bytes_of_one_process(dask, tmp_path, monkeypatch):
    write_samples(tmp_path / "in", 12, 64, 0, masked=True)
    shutil.copy(tmp_path / "in" / "face-0000.png", tmp_path / "in" / "again.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no photo")
    monkeypatch.chdir(tmp_path)
    found = {}
    for name in ("null", dask.address):
        out = "alone" if name == "null" else "shared"
        command = ("in", "-o", out, "--crop", "--threads", "1", "--cluster", name)
        done = subprocess.run(
            ["unmask", "restore", *command, "--manifest", f"{out}.parquet"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "1 of 14 inputs could not be restored" in done.stderr, done.stderr
        found[name] = {path.name: path.read_bytes() for path in Path(out).iterdir()}
    assert len(found["null"]) == 2 * 13
    assert found["null"] == found[dask.address]
    import pyarrow.parquet as pq

    alone, shared = (pq.read_table(f"{out}.parquet").to_pandas() for out in ("alone", "shared"))
    assert list(alone["input"]) == list(shared["input"])
    assert list(alone["sha256"]) == list(shared["sha256"])
    assert np.isfinite(shared["seconds"]).all()
