"""References in a real registry."""

import shutil
from pathlib import Path

import pytest
from champion import make_champion
from project import DVC_YAML

from unmask.config.restore import RESTORE, Blending, Restore, load_restore, save_restore
from unmask.errors import UnmaskError
from unmask.inference.chain import Chain
from unmask.networks import ONNX, RELEASED
from unmask.registry import versions
from unmask.registry.loading import find_networks
from unmask.registry.references import (
    REFERENCE,
    RELEASED_REFERENCE,
    attach_reference,
    reference_of,
    reference_of_champion,
)
from unmask.registry.upgrade import upgrade
from unmask.registry.versions import NAME, PACKED_MD5, RegistryError, register
from unmask.store import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path, monkeypatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_settings_are_part_of_a_version_and_registered_once(store, tmp_path):
    networks = tmp_path / "networks"
    shutil.copytree(RELEASED, networks, ignore=shutil.ignore_patterns("*.md", "*.parquet"))
    numbers = []
    for settings in (Restore(), Restore(blending=Blending(grain=0.25)), Restore()):
        save_restore(settings, networks)
        numbers.append(register(networks, lambda: "a card"))
        folder, _ = versions.networks_of(f"models:/{NAME}/{numbers[-1]}")
        assert load_restore(folder) == settings
    (networks / RESTORE).unlink()  # as versions were before
    assert [*numbers, register(networks, lambda: "a card")] == ["1", "2", "1", "1"]


def test_a_champion_s_reference_is_its_own(store):
    file, name = reference_of_champion()
    assert file == RELEASED_REFERENCE
    assert name.startswith("unmask/release-")
    assert not (store / "mlflow.db").exists()
    number = register(RELEASED, lambda: "a card")
    assert reference_of_champion()[0] == RELEASED_REFERENCE  # a challenger only
    make_champion(number, "a test")
    with pytest.raises(RegistryError, match=r"version 1, the champion, has no reference"):
        reference_of_champion()
    with pytest.raises(RegistryError, match=r"one\.parquet is missing: run `dvc repro reference`"):
        attach_reference(number, store / "one.parquet")
    for content in (b"one", b"one", b"another", b"one"):
        (store / "one.parquet").write_bytes(content)
        attach_reference(number, store / "one.parquet")
        file, name = reference_of_champion()
        assert (file.read_bytes(), name) == (content, "unmask/1")
    run = connect().get_model_version(NAME, number).run_id
    assert len(connect().list_artifacts(run, "reference")) == 2
    connect().set_model_version_tag(NAME, number, REFERENCE, "reference/lost.parquet")
    with pytest.raises(RegistryError, match=r"reference of unmask version 1 cannot be loaded"):
        reference_of_champion()
    assert [v.number for v in versions.list_versions()] == ["1"]


def test_a_version_without_onnx_files_is_upgraded_with_its_card_and_reference(store, tmp_path):
    networks = tmp_path / "networks"
    shutil.copytree(RELEASED, networks, ignore=shutil.ignore_patterns("*.md", "*.parquet"))
    number = register(networks, lambda: "a card")
    attach_reference(number, RELEASED_REFERENCE)
    with pytest.raises(RegistryError, match="version 1 needs no upgrade"):
        upgrade(number)
    folder, _ = versions.networks_of(f"models:/{NAME}/{number}")
    for file in folder.rglob(ONNX):  # as versions were before
        file.unlink()
    with pytest.raises(UnmaskError, match=r"model\.onnx is missing.*unmask models upgrade"):
        Chain.load(find_networks(f"models:/{NAME}/{number}")[0])
    connect().set_model_version_tag(NAME, number, PACKED_MD5, "before")
    upgraded = upgrade(number)
    assert upgraded == "2"
    Chain.load(find_networks(f"models:/{NAME}/{upgraded}")[0])
    found = connect().get_model_version(NAME, upgraded)
    assert found.description == "Version 1, upgraded.\n\na card"
    assert reference_of(found).read_bytes() == RELEASED_REFERENCE.read_bytes()
