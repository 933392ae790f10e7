"""The lineage of a version: git commit, dvc.lock, params and data versions."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow import MlflowClient

from unmask.project import md5_of, project_root
from unmask.tracking import StageRun, git_commit

COMMIT, CHANGED, LOCK = "unmask.git_commit", "unmask.git_changed", "unmask.dvc_lock_md5"
RETRAINING = "unmask.retraining"  # tag of a version that a retraining made: its commit
_DATA = "data/sources"  # whose *.dvc files name the data versions


def _uncommitted(root: Path) -> str:
    """Files of the pipeline's code that differ from the commit, or '' when none does."""
    answer = subprocess.run(
        ["git", "status", "--porcelain", "--", "src", "dvc.yaml"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )
    return " ".join(line[3:] for line in answer.stdout.splitlines())[:500]


def log_origin(run: StageRun, models: Path) -> dict[str, str]:
    """Log params and data versions beside the run's dvc.lock.

    Args:
        run: the MLflow run that registers the version.
        models: the folder of the networks; of a folder other than the project's models/, which
            dvc.lock does not describe, nothing but the commit is kept.

    Returns:
        The tags for the version.
    """
    root = project_root()
    tags = {COMMIT: git_commit()}
    lock = root / "dvc.lock"
    if models.resolve() == root / "models" and lock.is_file():
        run.file(root / "params.yaml")
        for pointer in sorted((root / _DATA).glob("*.dvc")):
            run.file(pointer, _DATA)
        tags |= {LOCK: md5_of([lock]), CHANGED: _uncommitted(root)}
    return tags


def write_origin(client: MlflowClient, run_id: str, root: Path) -> None:
    """Restore the dvc.lock, params and data versions of a version's run into a project.

    Args:
        client: of the store that holds the run.
        run_id: id of the run that registered the version.
        root: the project's folder; its files of the same names are replaced.
    """
    artifacts = [item.path for item in client.list_artifacts(run_id)]
    with TemporaryDirectory() as folder:
        for name in ("dvc.lock", "params.yaml", "data"):
            if name in artifacts:
                mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=name, dst_path=folder
                )
        for file in (f for f in Path(folder).rglob("*") if f.is_file()):
            target = root / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())


def tag_retraining(client: MlflowClient, name: str, version: str, commit: str) -> None:
    """Tag a version with a retraining's commit, which holds its params, data versions and dvc.lock.

    Args:
        client: of the registry.
        name: the registered model's name.
        version: the version's number.
        commit: full hash.
    """
    for tag in (COMMIT, RETRAINING):
        client.set_model_version_tag(name, version, tag, commit)
