"""Training that starts from the released weights."""

import json
from pathlib import Path

import pytest
import torch
from project import DVC_YAML

from unmask.config.params import Params
from unmask.datasets.cache import open_split
from unmask.errors import UnmaskError
from unmask.models.stored import load_network, save_network
from unmask.networks import METADATA
from unmask.training import train as stage

pytestmark = pytest.mark.train


@pytest.fixture
def module(smoke: Params, masked: Path, models: Path, tmp_path: Path):
    """Makes a fresh training module of one network at smoke size."""
    split = open_split(masked, "train", tmp_path / "cache")

    def make(name: str, **changes):
        params = getattr(smoke.train, name).model_copy(update=changes)
        return stage.make_module(
            name, params, getattr(smoke.augment, name), split, split, 0, models
        )

    return make


@pytest.fixture
def stored(smoke: Params, tmp_path: Path):
    """Stores a module's network, its weights moved off where they started, as a release would."""

    def store(module) -> Path:
        section = getattr(smoke.train, module.name).model_dump(mode="json")
        with torch.no_grad():
            for weights in module.network.parameters():
                weights.add_(0.01)
        out = tmp_path / "release" / module.name
        save_network(module.network.half(), module.name, section, {}, out)
        return out

    return store


@pytest.mark.parametrize("name", ["gender", "landmarks", "segmentation", "inpainting"])
def test_a_training_starts_from_stored_weights(name, module, stored):
    network = load_network(stored(module(name)))
    started = module(name)
    started.start_from(network)
    for given, taken in ((network, started.network), (network, started.trained())):
        for key, value in given.state_dict().items():
            torch.testing.assert_close(taken.state_dict()[key], value, rtol=0, atol=0)


def test_inpainting_on_other_blocks_starts_from_the_inner_levels(module, stored):
    network = load_network(stored(module("inpainting")))
    fresh, started = module("inpainting", block=4).network, module("inpainting", block=4)
    started.start_from(network)
    given, own, taken = (n.state_dict() for n in (network, fresh, started.network))
    for key, value in taken.items():
        same = key in given and given[key].shape == value.shape
        torch.testing.assert_close(value, given[key] if same else value, rtol=0, atol=0)
        assert same or key.startswith(("stem.", "output.", "detail."))
        assert same or own[key].shape == value.shape
    with pytest.raises(UnmaskError, match=r"the released inpainting network.*init: scratch"):
        module("inpainting", channels=(16, 24, 40)).start_from(network)


def test_a_network_of_another_shape_is_named(module, stored):
    network = load_network(stored(module("landmarks")))
    other = module("landmarks", heatmap_channels=32)
    with pytest.raises(UnmaskError, match=r"the released landmarks network.*init: scratch"):
        other.start_from(network)


def test_the_stage_records_what_it_started_from(
    smoke, masked, module, stored, tmp_path, monkeypatch
):
    folder = stored(module("gender"))
    monkeypatch.setattr(stage, "RELEASED", folder.parent)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("{}")
    params = smoke.model_copy(update={"train": smoke.train.model_copy(update={"init": "release"})})
    stage.train_network("gender", params, masked, tmp_path / "models")
    metadata = json.loads((tmp_path / "models" / "gender" / METADATA).read_text())
    assert metadata["init"] == "release"
    assert metadata["init_md5"] == json.loads((folder / METADATA).read_text())["weights_md5"]
    assert sum(metadata["faces"].values()) > 0
    assert metadata["augment"] == smoke.augment.gender.model_dump(mode="json")
