"""What tests of training share: folders that its stages run in."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import DVC_YAML, ROOT, change_params

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
        for network in NETWORKS:
            change_params(folder, f"train.{network}", steps=6)
        return folder

    return make
