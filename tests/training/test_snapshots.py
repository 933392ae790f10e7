"""Snapshots of a long training: a folder of four networks that photos can be restored with."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from unmask.config.params import NETWORKS
from unmask.config.restore import RESTORE
from unmask.networks import RELEASED
from unmask.training import progress


@pytest.fixture
def epoch(tmp_path, monkeypatch):
    """Ends an epoch of a training of the inpainting network, at a time in seconds."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def store(network: str, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "weights").write_text(network)

    made = progress.Snapshots(store, tmp_path / "models", tmp_path / "snapshots")

    def end(seconds: float, weights: str, first: bool = True) -> None:
        now[0] = seconds
        module = SimpleNamespace(name="inpainting", trained=lambda: weights)
        made.on_train_epoch_end(SimpleNamespace(is_global_zero=first), module)

    return end


def test_every_half_hour_the_network_is_stored_as_it_is(epoch, tmp_path):
    weights = tmp_path / "snapshots" / "inpainting" / "weights"
    epoch(1700, "early")
    assert not weights.exists()
    epoch(1900, "first")
    assert weights.read_text() == "first"
    epoch(3600, "soon after")
    assert weights.read_text() == "first"
    epoch(3900, "second")
    assert weights.read_text() == "second"


def test_the_other_networks_are_the_trained_ones_else_the_released(epoch, tmp_path):
    (tmp_path / "models" / "landmarks").mkdir(parents=True)
    epoch(2000, "first")
    folder = tmp_path / "snapshots"
    assert {path.name for path in folder.iterdir()} == {*NETWORKS, RESTORE}
    assert (folder / "landmarks").resolve() == (tmp_path / "models" / "landmarks").resolve()
    assert (folder / "gender").resolve() == (RELEASED / "gender").resolve()


def test_a_link_of_an_earlier_training_gives_way(epoch, tmp_path):
    released = tmp_path / "released"
    released.mkdir()
    own = tmp_path / "snapshots" / "inpainting"
    own.parent.mkdir()
    own.symlink_to(released)
    epoch(2000, "first")
    assert not own.is_symlink()
    assert (own / "weights").read_text() == "first"
    assert not list(released.iterdir())


def test_links_to_folders_that_are_gone_and_old_snapshots_give_way(epoch, tmp_path):
    folder, trained = tmp_path / "snapshots", tmp_path / "models" / "landmarks"
    trained.mkdir(parents=True)
    (folder / "landmarks").mkdir(parents=True)  # of the training of the landmarks
    (folder / "gender").symlink_to(tmp_path / "deleted")
    epoch(2000, "first")
    assert (folder / "landmarks").resolve() == trained.resolve()
    assert (folder / "gender").resolve() == (RELEASED / "gender").resolve()


def test_one_process_of_a_distributed_training_writes(epoch, tmp_path):
    epoch(2000, "other", first=False)
    assert not (tmp_path / "snapshots").exists()
