"""Retraining end to end at smoke size: the real git, dvc, prefect and mlflow."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import cv2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import copy_project, run_in
from ruamel.yaml import YAML

from flows.retrain import _check_device, _exclusive
from unmask.errors import UnmaskError
from unmask.faces.sources import Sampled
from unmask.networks import packed_md5

pytestmark = [pytest.mark.train, pytest.mark.timeout(2400)]

# what runs keep beside the user's files, all of it ignored by git
STATE = (".git", ".unmask", ".dvc/cache", ".dvc/tmp", "mlflow.db", "mlartifacts", "prefect-home")


def git(project: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=project, check=True, capture_output=True, text=True
    ).stdout.strip()


def users_tree(project: Path) -> dict[str, str]:
    """md5 of each of the user's files, of HEAD and of the index."""
    files = [
        path
        for path in project.rglob("*")
        if path.is_file()
        and not any(path.is_relative_to(project / part) for part in STATE)
        and "__pycache__" not in path.parts
    ]
    files += [project / ".git" / name for name in ("HEAD", "index", "refs/heads/main")]
    return {str(f.relative_to(project)): md5(f.read_bytes()).hexdigest() for f in files}


def drop(project: Path, name: str, seed: int, count: int) -> None:
    folder, rows = project / "data" / "drop" / name, []
    folder.mkdir(parents=True)
    for index in range(count):
        face = Sampled(seed, index, 80).read()
        cv2.imwrite(str(folder / f"{index}.png"), face.image[..., ::-1])
        rows.append({"file": f"{index}.png", "landmarks": face.landmarks.ravel().tolist()})
    pq.write_table(pa.Table.from_pylist(rows), folder / "annotations.parquet")


def test_a_stray_file_among_the_clones_stops_no_retraining(tmp_path):
    left = tmp_path / ".unmask" / "retrain" / "killed"
    left.mkdir(parents=True)
    stray = left.with_name(".DS_Store")
    stray.touch()
    with _exclusive(tmp_path) as clones:
        assert clones == left.parent
        assert not left.exists()
    assert stray.exists()


def retrain(project: Path, **given) -> str:
    """Run the flow; returns what it printed, and its state as its last line says it."""
    done = run_in(project, "python", "-c", f"from flows.retrain import retrain; retrain(**{given})")
    return done.stdout + done.stderr


def versions(project: Path) -> list[str]:
    return run_in(project, "unmask", "models", "list").stdout.splitlines()


def branches(project: Path) -> list[str]:
    return git(project, "branch", "--list", "retrain/*", "--format=%(refname:short)").split()


@dataclass(frozen=True)
class Retrained:
    """What the first retraining left: what it printed, and the version and branch it made."""

    log: str
    version: str
    branch: str


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a drop of new faces, and one of too few."""
    folder = copy_project(tmp_path_factory.mktemp("retrain") / "project")
    git(folder, "branch", "-M", "main")
    assert "nothing changed" in retrain(folder)
    assert not (folder / "mlflow.db").exists()
    drop(folder, "good", 5, 30)
    drop(folder, "bad", 6, 2)
    return folder


@pytest.fixture(scope="module", autouse=True)
def first(project) -> Retrained:
    """The first retraining, on the drop of new faces."""
    before = users_tree(project)
    log = retrain(project)
    assert users_tree(project) == before
    (version,) = versions(project)
    (branch,) = branches(project)
    return Retrained(log, version, branch)


def test_new_faces_give_a_version_a_branch_and_a_tag(project, first):
    assert "champion" in first.version, first.log
    branch = first.branch
    assert git(project, "rev-parse", "model-v1^{commit}") == git(project, "rev-parse", branch)
    there = git(project, "ls-tree", "-r", "--name-only", branch).splitlines()
    (pointer,) = [path for path in there if path.endswith(".dvc")]
    assert pointer.startswith("data/sources/good-")
    assert {"dvc.lock", "reports/metrics.json"} <= set(there)
    sources = YAML(typ="safe").load(git(project, "show", f"{branch}:params.yaml"))["faces"]
    assert sources["sources"][-1] == {"name": "folder", "path": pointer.removesuffix(".dvc")}
    assert not list((project / ".unmask" / "retrain").iterdir())


def test_a_bad_drop_is_refused_with_the_reason(project, first):
    assert "new faces bad: refused: 2 good faces, at least 4 wanted" in first.log
    (report,) = (project / ".unmask" / "drops").glob("bad-*/report.md")
    assert "**Refused:** 2 good faces" in report.read_text()


def test_the_same_drops_again_change_nothing(project):
    before = versions(project), branches(project)
    assert "nothing changed" in retrain(project)
    assert (versions(project), branches(project)) == before


def test_a_drop_waits_while_it_is_written_and_while_a_server_is_away(project):
    before = versions(project)
    drop(project, "late", 9, 30)
    changing = (
        "import unmask.retraining.plan as r; from unmask.retraining.drops import DropError\n"
        "def take(*given): raise DropError('late changed while it was read')\n"
        "r.copy_good_faces = take\n"
    )
    away = (
        "import flows.retrain as f; from unmask.store import StoreAwayError\n"
        "def run_stages(*given): raise StoreAwayError('no answer')\n"
        "f.run_stages = run_stages\n"
    )
    for broken, told in ((changing, "late changed while it was read"), (away, "no answer")):
        code = f"{broken}from flows.retrain import retrain; retrain()"
        done = run_in(project, "python", "-c", code)
        assert told in done.stdout + done.stderr
        assert not list((project / ".unmask" / "drops").glob("late-*/attempts.txt"))
    assert versions(project) == before
    shutil.rmtree(project / "data" / "drop" / "late")


def test_a_version_is_made_again_with_the_md5_it_was_registered_with(project, first):
    before = users_tree(project)
    done = run_in(project, "unmask", "models", "reproduce", "1", "-o", ".unmask/again")
    assert done.returncode == 0, done.stderr
    again = project / ".unmask" / "again"
    registered = first.version.split()[-2]
    assert packed_md5(again / "models").startswith(registered)
    assert "all from the cache" in done.stdout
    (taken,) = (again / "data" / "sources").glob("good-*/annotations.parquet")
    assert pq.read_metadata(taken).num_rows == 30
    assert list((again / "data" / "masked").glob("train-*.parquet"))
    assert users_tree(project) == before
    done = run_in(project, "unmask", "models", "reproduce", "1", "-o", ".unmask/again")
    assert "again exists" in done.stderr
    done = run_in(project, "unmask", "models", "reproduce", "9")
    assert "no version 9" in done.stderr


def test_a_failed_stage_leaves_the_champion_and_says_why(project):
    before = users_tree(project), versions(project), branches(project)
    log = retrain(project, changes={"train.inpainting.backbone": "no_such_backbone"})
    assert "Finished in state Failed" in log
    assert "no_such_backbone" in log
    assert (users_tree(project), versions(project), branches(project)) == before
    assert not list((project / ".unmask" / "retrain").iterdir())


def test_drift_changes_declared_params_alone(project):
    before = versions(project)
    log = retrain(project, changes={"gate.confidence": 0.6})
    assert "'gate.confidence' may not be changed by a retraining" in log
    log = retrain(project, changes={"train.inpainting.learning_rate": 0.0011}, drift="d1")
    assert len(versions(project)) == len(before) + 1, log
    earlier, second = sorted(branches(project))[-2:]
    text = git(project, "show", f"{second}:params.yaml")
    params = YAML(typ="safe").load(text)
    assert params["train"]["inpainting"]["learning_rate"] == 0.0011
    assert git(project, "merge-base", earlier, second) == git(project, "rev-parse", earlier)
    assert "drift d1" in git(project, "tag", "-n", "--list", f"model-v{len(before) + 1}")
    assert "Running stage 'train@gender'" not in log


def test_what_is_missing_is_named_and_what_can_be_made_is_made(project):
    lock = YAML(typ="safe").load(git(project, "show", "model-v1:dvc.lock"))
    (weights,) = lock["stages"]["train@gender"]["outs"]
    stored = project / ".dvc" / "cache" / "files" / "md5"
    (stored / weights["md5"][:2] / weights["md5"][2:]).unlink()
    done = run_in(project, "unmask", "models", "reproduce", "1", "-o", ".unmask/rebuilt")
    assert done.returncode == 0, done.stderr
    assert "trained again: train@gender" in done.stdout
    pointer = git(project, "show", "model-v1:data/sources").splitlines()[-1]
    data = YAML(typ="safe").load(git(project, "show", f"model-v1:data/sources/{pointer}"))
    key = data["outs"][0]["md5"]
    listed = stored / key[:2] / key[2:]
    content = listed.read_bytes()
    listed.unlink()
    done = run_in(project, "unmask", "models", "reproduce", "1", "-o", ".unmask/lost")
    listed.write_bytes(content)
    assert f"nor a remote holds data/sources/{data['outs'][0]['path']}" in done.stderr
    assert not (project / ".unmask" / "lost").exists()


def test_versions_know_where_they_come_from(project):
    code = (
        "import json;from unmask.store import connect;"
        "c = connect();v = c.get_model_version('unmask', '1');"
        "print(json.dumps([v.tags, [a.path for a in c.list_artifacts(v.run_id)]]))"
    )
    tags, artifacts = json.loads(run_in(project, "python", "-c", code).stdout.splitlines()[-1])
    assert tags["unmask.git_commit"] == git(project, "rev-parse", "model-v1^{commit}")
    assert {"dvc.lock", "params.yaml", "data"} <= set(artifacts)


def test_a_gpu_is_asked_for_in_plain_words(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UnmaskError, match="no CUDA device"):
        _check_device()
