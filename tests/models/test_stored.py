import json
import os
import resource
import signal

import pytest
import torch
from torch import nn

from unmask.config.params import NETWORKS
from unmask.errors import UnmaskError
from unmask.models import build
from unmask.models.stored import load_network
from unmask.models.stored import save_network as save
from unmask.networks import METADATA, ONNX, PARAMS, RELEASED, WEIGHTS
from unmask.project import md5_of


def network(name: str, smoke, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(name, getattr(smoke.train, name))


def stored(smoke, out, name: str = "inpainting", seed: int = 0) -> nn.Module:
    net = network(name, smoke, seed)
    section = getattr(smoke.train, name).model_dump(mode="json")
    save(net, name, section, {"steps": 4}, out)
    return net


def same(one: nn.Module, two: nn.Module) -> bool:
    first, second = one.state_dict(), two.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_with_every_weight(smoke, tmp_path, name):
    net = stored(smoke, tmp_path / "models" / name, name)
    loaded = load_network(tmp_path / "models" / name)
    assert type(loaded) is type(net)
    assert same(loaded, net)
    assert not loaded.training
    assert loaded.image_size == 64
    assert not same(loaded, network(name, smoke, seed=1))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_released_weights_load_by_the_params_of_today(name):
    assert not load_network(RELEASED / name).training


def test_the_metadata_is_kept_with_the_md5(smoke, tmp_path):
    net = network("inpainting", smoke)
    section = smoke.train.inpainting.model_dump(mode="json")
    checksum = save(net, "inpainting", section, {"steps": 4}, tmp_path / "m")
    assert json.loads((tmp_path / "m" / METADATA).read_text()) == {
        "steps": 4,
        "weights_md5": checksum,
        "onnx_md5": md5_of([tmp_path / "m" / ONNX]),
    }
    files = sorted(p.name for p in (tmp_path / "m").iterdir())
    assert files == [METADATA, ONNX, WEIGHTS, PARAMS]
    assert save(net, "inpainting", section, {}, tmp_path / "n") == checksum


def test_saving_again_replaces_the_whole(smoke, tmp_path):
    stored(smoke, tmp_path / "m", seed=0)
    (tmp_path / "m" / "left.txt").write_text("from before")
    net = stored(smoke, tmp_path / "m", seed=1)
    assert same(load_network(tmp_path / "m"), net)
    assert not (tmp_path / "m" / "left.txt").exists()


@pytest.mark.parametrize("file", [WEIGHTS, PARAMS, METADATA])
def test_a_missing_file_is_named(smoke, tmp_path, file):
    stored(smoke, tmp_path / "m")
    (tmp_path / "m" / file).unlink()
    with pytest.raises(UnmaskError, match=f"{file} is missing"):
        load_network(tmp_path / "m")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UnmaskError, match=r"nowhere.* is missing"):
        load_network(tmp_path / "nowhere")


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_weights_are_refused(smoke, tmp_path, damage):
    stored(smoke, tmp_path / "m")
    path = tmp_path / "m" / WEIGHTS
    raw = bytearray(path.read_bytes())
    if damage == "flip":
        raw[-100] ^= 1
    path.write_bytes({"flip": raw, "cut": raw[:-1], "empty": b""}[damage])
    with pytest.raises(UnmaskError, match=r"safetensors is damaged"):
        load_network(tmp_path / "m")


@pytest.mark.parametrize("file", [PARAMS, METADATA])
@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_description_is_refused_and_named(smoke, tmp_path, file, content):
    stored(smoke, tmp_path / "m")
    (tmp_path / "m" / file).write_text(content)
    with pytest.raises(UnmaskError, match=str(tmp_path / "m")):
        load_network(tmp_path / "m")


@pytest.mark.parametrize(
    "change", [{"name": "pose"}, {"channels": [16, 24]}, {"latent": "many"}, {"surplus": 1}]
)
def test_weights_that_do_not_fit_their_params_are_refused(smoke, tmp_path, change):
    stored(smoke, tmp_path / "m")
    path = tmp_path / "m" / PARAMS
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnmaskError, match=str(tmp_path / "m")):
        load_network(tmp_path / "m")


def test_a_model_half_written_is_never_taken(smoke, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            stored(smoke, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UnmaskError, match="is missing"):
        load_network(tmp_path / "m")


def test_what_a_killed_process_left_is_not_mixed_in(smoke, tmp_path):
    left = tmp_path / ".m.partial"
    left.mkdir()
    (left / "surplus").write_text("")
    net = stored(smoke, tmp_path / "m")
    assert same(load_network(tmp_path / "m"), net)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "surplus").exists()


@pytest.fixture
def full_disk(monkeypatch):
    """No file of this process may grow beyond 4 kB, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield fill, free
    free()
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_told_and_keeps_the_model_made_before(smoke, tmp_path, full_disk):
    fill, free = full_disk
    net = stored(smoke, tmp_path / "m", seed=0)
    fill()
    with pytest.raises((OSError, UnmaskError), match=r"model\.safetensors"):
        stored(smoke, tmp_path / "m", seed=1)
    free()
    assert same(load_network(tmp_path / "m"), net)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
