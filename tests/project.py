"""A project of its own for a test: a copy of this one at smoke size."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from unmask.config.profiles import use_profile

ROOT = Path(__file__).parents[1]
DVC_YAML = "stages: {faces: {cmd: python -m unmask.stages.faces}}\n"  # of the smallest project
STAGES = {
    "faces",
    "masked",
    "train@gender",
    "train@landmarks",
    "train@segmentation",
    "train@inpainting",
    "settings",
    "evaluate",
    "reference",
    "register",
}


def copy_project(folder: Path) -> Path:
    """A clone of the project in a git repository of its own, with profile smoke."""
    folder.mkdir()
    left = shutil.ignore_patterns("cache", "tmp", "__pycache__")
    for name in ("src", "flows", "conf", ".dvc", "data/sources"):
        shutil.copytree(ROOT / name, folder / name, ignore=left)
    for name in ("dvc.yaml", "prefect.yaml", ".gitignore", ".dvcignore"):
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


def empty_project(folder: Path) -> Path:
    """A git repository with DVC, and nothing in it."""
    folder.mkdir()
    for command in (
        ["git", "init", "--quiet", "-b", "main"],
        ["git", "config", "user.name", "test"],
        ["git", "config", "user.email", "test@example.org"],
        [sys.executable, "-m", "dvc", "init", "--quiet"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def change_params(project: Path, section: str, **values: object) -> None:
    """Change values of a dotted section of a project's params."""
    yaml, file = YAML(), project / "params.yaml"
    tree = yaml.load(file)
    part = tree
    for name in section.split("."):
        part = part[name]
    part.update(values)
    yaml.dump(tree, file)


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


def succeed(project: Path, *command: str, **environment: str) -> str:
    """What a command prints that must succeed."""
    done = run_in(project, *command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def executed(output: str) -> set[str]:
    """The stages that DVC says it ran."""
    return {
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    }


def versions(project: Path) -> dict[str, str]:
    """Version numbers to their lines as `unmask models list` prints them."""
    lines = succeed(project, "unmask", "models", "list").splitlines()
    return {line.split()[0]: line for line in lines if line.strip()}
