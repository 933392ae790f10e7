"""What tests share: seeds, a small data set, and a project of its own at smoke size."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from unmask.data import faces_stage, masked_stage
from unmask.params import Params, load_params
from unmask.profiles import use_profile

ROOT = Path(__file__).parents[1]

torch.set_num_threads(1)
settings.register_profile("seeded", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("seeded")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """The params of profile smoke."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    use_profile("smoke", ROOT / "conf", path)
    return load_params(path)


@pytest.fixture(scope="session")
def masked(smoke: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masked faces of profile smoke, as stage `masked` writes them."""
    folder = tmp_path_factory.mktemp("data")
    faces_stage.make(smoke, folder)
    masked_stage.make(smoke, folder)
    return folder / "masked"


def copy_project(folder: Path) -> Path:
    """A clone of the project in a git repository of its own, with profile smoke."""
    folder.mkdir()
    for name in ("src", "flows", "conf", ".dvc", "data/sources"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("cache", "tmp", "__pycache__")
        )
    for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    use_profile("smoke", folder / "conf", folder / "params.yaml")
    for command in (
        ["git", "init", "-q"],
        ["git", "config", "user.email", "test@example.org"],
        ["git", "config", "user.name", "test"],
        ["git", "add", "-A"],
        ["git", "commit", "-qm", "start"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def run_in(project: Path, *command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a command in a project, as a user would; output is captured."""
    (project / "prefect-home").mkdir(exist_ok=True)
    home = {
        "PREFECT_HOME": str(project / "prefect-home"),
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "OMP_NUM_THREADS": "1",
    }
    unset = {"MLFLOW_TRACKING_URI", "UNMASK_PIPELINE_ID"}
    inherited = {k: v for k, v in os.environ.items() if k not in unset}
    return subprocess.run(
        command,
        cwd=project,
        env={**inherited, **home, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
