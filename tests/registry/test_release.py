"""The weights of the package as a new registry's first champion, in a real MLflow store."""

import pytest
from project import DVC_YAML, ROOT

from unmask.config.profiles import use_profile
from unmask.networks import RELEASED, packed_md5
from unmask.registry import sync
from unmask.registry.champions import champion, history
from unmask.registry.loading import find_networks
from unmask.registry.versions import CHALLENGER, find_version, version_of
from unmask.store import connect

pytestmark = pytest.mark.slow


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.mark.parametrize("profile", ["cpu", "smoke"])
def test_a_new_registry_s_first_champion_is_the_release_where_params_say_so(
    project, monkeypatch, profile
):
    use_profile(profile, ROOT / "conf", project / "params.yaml")
    monkeypatch.setattr(sync, "register", lambda *_: "own")
    monkeypatch.setattr(sync, "attach_reference", lambda *_: None)
    for _ in range(2):
        assert sync.sync() == "own"
    if profile == "smoke":
        assert champion() is None
        return
    assert (champion(), version_of(CHALLENGER)) == ("1", "1")
    assert [(change.kind, change.version, change.previous) for change in history()] == [
        ("promote", "1", None)
    ]
    assert find_version(connect(), "1").tags["unmask.packed_md5"] == packed_md5(RELEASED)
    assert find_networks()[1] == "unmask/1"
