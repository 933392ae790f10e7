"""What the clean-up deletes of retrainings, and what it keeps."""

import os
import time
from itertools import pairwise
from pathlib import Path

import mlflow
import pytest
from project import DVC_YAML, empty_project

from unmask.config.params import Retention
from unmask.datasets.cache import bound_cache
from unmask.registry.champions import replace_champion, roll_back
from unmask.registry.origin import COMMIT, RETRAINING
from unmask.registry.removal import KEEP
from unmask.registry.versions import NAME, kept_versions
from unmask.retraining.clone import dvc, git
from unmask.retraining.retention import clean_up
from unmask.store import connect
from unmask.tracking import stage_run


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    folder = empty_project(tmp_path / "project")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "params.yaml").write_text("seed: 0\n")
    (folder / ".gitignore").write_text("/.unmask/\n/mlflow.db\n/mlartifacts/\n/mlruns/\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "start")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
    yield folder
    while mlflow.active_run():
        mlflow.end_run()


def registered(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, **tags: str) -> str:
    """A version that a pipeline of that name registered; returns its number."""
    monkeypatch.setenv("UNMASK_PIPELINE_ID", name)
    client = connect(create=True)
    with stage_run("register", {}) as run:
        run.text("figures", "reports/figures.txt")
        model = mlflow.pyfunc.log_model(
            name=NAME,
            python_model=lambda model_input: model_input,
            pip_requirements=["numpy"],
            registered_model_name=NAME,
        )
        number = str(model.registered_model_version)
    commit = git(root, "rev-parse", "HEAD")
    for key, value in {COMMIT: commit, "unmask.pipeline_run": run.parent_id, **tags}.items():
        client.set_model_version_tag(NAME, number, key, value)
    return number


def retrained(root: Path, monkeypatch: pytest.MonkeyPatch, day: int, **tags: str) -> str:
    """A version that a retraining of that day of last January made; returns its number."""
    name = f"202601{day:02d}T030000Z"
    git(root, "checkout", "--quiet", "-b", f"retrain/{name}")
    (root / "weights.txt").write_text(f"weights of {day}" * 1000)
    dvc(root, "add", "weights.txt")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", f"Retrain: {day}")
    commit = git(root, "rev-parse", "HEAD")
    number = registered(root, monkeypatch, name, **{RETRAINING: commit}, **tags)
    git(root, "tag", "-a", f"model-v{number}", "-m", "a version")
    git(root, "checkout", "--quiet", "main")
    return number


def cached(root: Path) -> int:
    """How many files DVC's cache holds."""
    folder = root / ".dvc" / "cache" / "files"
    return sum(file.is_file() for file in folder.rglob("*"))


def test_what_nobody_wants_goes_and_the_rest_stays(root, monkeypatch):
    first = registered(root, monkeypatch, "by hand")
    made = [retrained(root, monkeypatch, day) for day in (1, 2, 3, 4)]
    wanted = retrained(root, monkeypatch, 5, **{KEEP: ""})
    refused = retrained(root, monkeypatch, 6)
    newest = retrained(root, monkeypatch, 7)
    replace_champion(None, made[0], "a test")
    for before, after in pairwise(made):
        replace_champion(before, after, "a test")
    roll_back("a test")  # the third is champion, the fourth was it before
    assert cached(root) == 7

    said = list(clean_up(root, Retention(days=0, predecessors=1)))
    kept = kept_versions(connect())
    assert set(kept) == {first, made[2], made[3], wanted, newest}
    assert said[:3] == [
        f"branch retrain/2026010{day}T030000Z was deleted, and its versions: {number}"
        for day, number in ((1, made[0]), (2, made[1]), (6, refused))
    ]
    branches = git(root, "branch", "--format=%(refname:short)").split()
    assert branches == ["main"] + [f"retrain/2026010{day}T030000Z" for day in (3, 4, 5, 7)]
    tags = git(root, "tag", "--list").split()
    assert tags == [f"model-v{number}" for number in sorted({made[2], made[3], wanted, newest})]
    assert cached(root) == 4
    # MLflow's own clean-up took runs and artifacts, but those of what is kept
    for name in ("figures.txt", "MLmodel"):
        assert len(list((root / "mlartifacts").rglob(name))) == len(kept), name
    folders = [connect().get_run(one.run_id).info.artifact_uri for one in kept.values()]
    assert all(Path(folder.removeprefix("file://")).is_dir() for folder in folders)
    assert list(clean_up(root, Retention(days=0, predecessors=1))) == []


def test_what_people_went_on_from_stays(root, monkeypatch):
    made = [retrained(root, monkeypatch, day) for day in (1, 2, 3, 4)]
    git(root, "checkout", "--quiet", "retrain/20260101T030000Z")
    by_hand = registered(root, monkeypatch, "by hand")  # of the same commit
    git(root, "checkout", "--quiet", "retrain/20260102T030000Z")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "Go on by hand")
    git(root, "checkout", "--quiet", "retrain/20260103T030000Z")
    list(clean_up(root, Retention(days=0, predecessors=0)))
    assert list(kept_versions(connect())) == [*made[1:], by_hand]
    git(root, "branch", "found", "retrain/20260103T030000Z")
    git(root, "checkout", "--quiet", "main")
    (root / "weights.txt.dvc").unlink(missing_ok=True)
    list(clean_up(root, Retention(days=0, predecessors=0)))
    assert list(kept_versions(connect())) == [made[1], made[3], by_hand]
    git(root, "checkout", "--quiet", "found")
    dvc(root, "checkout")  # whose data another branch names
    assert (root / "weights.txt").read_text().startswith("weights of 3")


def test_nothing_goes_before_its_time(root, monkeypatch):
    made = [retrained(root, monkeypatch, day) for day in (1, 2)]
    git(root, "branch", "retrain/my-own", "main")
    list(clean_up(root, Retention(days=100_000)))
    assert list(kept_versions(connect())) == made
    list(clean_up(root, Retention(days=0)))
    assert list(kept_versions(connect())) == made[1:]
    assert "retrain/my-own" in git(root, "branch", "--format=%(refname:short)").split()


def test_long_logs_keep_their_end_and_go_on(root):
    log = root / ".unmask" / "logs" / "serve.log"
    log.parent.mkdir(parents=True)
    with log.open("ab", buffering=0) as service:
        service.write(b"x" * 9_999_999 + b"\n" + b"line\n" * 3)
        list(clean_up(root, Retention()))
        service.write(b"the next\n")
    assert log.read_bytes() == b"line\n" * 3 + b"the next\n"


def test_the_cache_keeps_what_was_used_last(tmp_path):
    for number, name in enumerate(("a", "b", "c")):
        folder = tmp_path / f"{name}-2"
        folder.mkdir()
        (folder / "image.npy").write_bytes(bytes(1000))
        os.utime(folder, (time.time(), time.time() - 100 * number))
    assert bound_cache(tmp_path, 3000) == 0
    assert bound_cache(tmp_path, 2500) == 1000
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["a-2", "b-2"]
    assert bound_cache(tmp_path, 0) == 2000
    assert bound_cache(tmp_path / "missing", 0) == 0
