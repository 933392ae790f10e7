import json

import pytest

from unmask.config.params import NETWORKS
from unmask.config.restore import RESTORE, Blending, Restore, load_restore, save_restore
from unmask.errors import UnmaskError
from unmask.inference.chain import Chain
from unmask.models import build
from unmask.models.stored import save_network
from unmask.registry import loading, releasing
from unmask.registry.releasing import export
from unmask.registry.versions import RegistryError

SETTINGS = Restore(blending=Blending(grain=0.25))


def load_chain(uri: str | None = None) -> tuple[Chain, str]:
    folder, name = loading.find_networks(uri)
    return Chain.load(folder), name


@pytest.fixture
def networks(smoke, tmp_path):
    """A folder of four untrained networks at smoke size."""
    for name in NETWORKS:
        params = getattr(smoke.train, name)
        metadata = {"data_md5": "0", "faces": {"lfw": 3}, "init": "scratch"}
        save_network(
            build(name, params),
            name,
            params.model_dump(mode="json"),
            metadata,
            tmp_path / "networks" / name,
        )
    save_restore(SETTINGS, tmp_path / "networks")
    return tmp_path / "networks"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working directory without a project or a store."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


def test_an_export_is_half_as_large_and_loads(networks, tmp_path):
    export(networks, tmp_path / "release")
    for name in NETWORKS:
        sizes = [
            (folder / name / "model.safetensors").stat().st_size
            for folder in (networks, tmp_path / "release")
        ]
        assert sizes[1] < 0.6 * sizes[0]
        kept = json.loads((tmp_path / "release" / name / "metadata.json").read_text())
        assert kept["faces"] == {"lfw": 3}
    chain, name = load_chain(str(tmp_path / "release"))
    assert chain.size == 64
    assert chain.settings == load_restore(tmp_path / "release") == SETTINGS
    assert name == str(tmp_path / "release")


def test_networks_of_before_the_settings_were_kept_are_exported_with_the_defaults(
    networks, tmp_path
):
    (networks / RESTORE).unlink()
    export(networks, tmp_path / "release")
    assert (tmp_path / "release" / RESTORE).is_file()
    assert load_restore(tmp_path / "release") == Restore()


def test_damaged_settings_are_named(networks):
    (networks / RESTORE).write_text('{"blending": {"grain": 2}}')
    with pytest.raises(UnmaskError, match=r"restore\.json: parameter 'blending.grain' is 2"):
        load_chain(str(networks))


def test_a_weight_too_large_for_float16_is_refused(networks, smoke, tmp_path):
    network = build("gender", smoke.train.gender)
    next(network.parameters()).data.fill_(1e6)
    section = smoke.train.gender.model_dump(mode="json")
    save_network(network, "gender", section, {}, networks / "gender")
    with pytest.raises(RegistryError, match="gender network is too large"):
        export(networks, tmp_path / "release")
    assert not (tmp_path / "release" / "gender").exists()


def test_a_release_that_cannot_be_scored_leaves_the_old_one(networks, tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ValueError("no holdout")

    monkeypatch.setattr(releasing, "score", fail)
    out = tmp_path / "release"
    (out / "gender").mkdir(parents=True)
    (out / "gender" / "model.safetensors").write_text("old")
    with pytest.raises(ValueError, match="no holdout"):
        releasing.release(None, tmp_path, str(networks), out, tmp_path / "reports")
    assert [path.name for path in out.iterdir()] == ["gender"]
    assert (out / "gender" / "model.safetensors").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} >= {"networks", "release"}
    assert not list(tmp_path.glob("tmp*"))


def test_without_a_champion_the_release_is_taken_and_no_store_is_made(
    networks, elsewhere, monkeypatch
):
    monkeypatch.setattr(loading, "RELEASED", networks)
    chain, name = load_chain()
    assert chain.size == 64
    assert name.startswith("unmask/release-")
    assert list(elsewhere.iterdir()) == []
    assert load_chain("release")[1] == name


def test_a_missing_release_is_named(elsewhere, monkeypatch):
    monkeypatch.setattr(loading, "RELEASED", elsewhere / "none")
    with pytest.raises(UnmaskError, match="none"):
        load_chain()
