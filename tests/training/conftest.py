"""What tests of training share: folders that its stages run in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import DVC_YAML, ROOT
from ruamel.yaml import YAML

from unmask.config.params import NETWORKS
from unmask.config.profiles import use_profile


@pytest.fixture
def workshop(masked: Path, models: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes folders with params of 6 steps, data and a tracking store of their own."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "masked").symlink_to(masked)
        shutil.copytree(models, folder / "models")
        (folder / "dvc.yaml").write_text(DVC_YAML)
        use_profile("smoke", ROOT / "conf", folder / "params.yaml")
        yaml = YAML()
        tree = yaml.load((folder / "params.yaml").read_text())
        for network in NETWORKS:
            tree["train"][network]["steps"] = 6
        with (folder / "params.yaml").open("w") as file:
            yaml.dump(tree, file)
        return folder

    return make
