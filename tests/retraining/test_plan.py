"""What a retraining would do, seen in git alone."""

import json
import subprocess
from pathlib import Path

import pytest
from project import ROOT

from unmask.config.params import load_params
from unmask.config.profiles import use_profile
from unmask.errors import UnmaskError
from unmask.retraining import plan as retraining
from unmask.retraining.drops import DropRecords, drops_in
from unmask.retraining.new_faces import NewFacesReport, judge_faces
from unmask.retraining.plan import RECORDS, Plan, make_plan


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip()


def commit(folder: Path, message: str, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet", "-b", "main")
    (folder / ".gitignore").write_text("/data/drop/\n/.unmask/\n")
    use_profile("smoke", ROOT / "conf", folder / "params.yaml")
    commit(folder, "start")
    return folder


def planned(root: Path, champion: str | None = None, **changes) -> Plan:
    return make_plan(root, load_params(root / "params.yaml"), changes, champion)


def test_there_is_nothing_to_do_without_new_faces_or_changes(root):
    assert planned(root).is_empty
    assert planned(root, seed=0).is_empty
    assert planned(root).base == git(root, "rev-parse", "HEAD")


def test_a_change_of_a_declared_param_is_a_reason(root):
    done = planned(root, seed=3)
    assert done.params_changed
    assert not done.is_empty
    assert "seed: 3" in done.params
    with pytest.raises(UnmaskError, match="'image_size' may not be changed"):
        planned(root, image_size=128)


def test_new_faces_are_a_reason_until_they_are_taken_refused_or_fail_too_often(root, face_folder):
    (root / "data" / "drop").mkdir(parents=True)
    face_folder(2).rename(root / "data" / "drop" / "mine")
    (drop,) = drops_in(root / "data" / "drop")
    assert planned(root).drops == (drop,)
    records = DropRecords(root / RECORDS)
    records.save_report(drop, NewFacesReport("mine", 2, (), (), ()))
    for _ in range(3):
        assert planned(root).drops == (drop,)
        records.count_failure(drop)
    assert planned(root).is_empty
    (root / RECORDS / drop.key / "attempts.txt").unlink()
    records.save_report(drop, NewFacesReport("mine", 2, (), (), ("few",)))
    assert planned(root).is_empty
    (root / RECORDS / drop.key / "report.json").unlink()
    git(root, "checkout", "--quiet", "-b", "retrain/1")
    commit(root, "taken", **{f"data__sources__{drop.key}.dvc": "outs: []\n"})
    git(root, "checkout", "--quiet", "main")
    assert planned(root).is_empty
    git(root, "checkout", "--quiet", "retrain/1")
    git(root, "rm", "--quiet", f"data/sources/{drop.key}.dvc")
    commit(root, "taken away again")
    git(root, "checkout", "--quiet", "main")
    assert planned(root).is_empty


def test_known_faces_are_hashed_once_and_those_of_an_accepted_drop_added(
    root, face_folder, monkeypatch
):
    def make_clone(root: Path, folder: Path, commit: str) -> None:
        folder.mkdir()

    monkeypatch.setattr(retraining, "make_clone", make_clone)
    for command in ("git", "dvc"):
        monkeypatch.setattr(retraining, command, lambda folder, *arguments: "")
    hashed = []
    hash_all = retraining.known_hashes
    monkeypatch.setattr(
        retraining, "known_hashes", lambda *given: hashed.append(given) or hash_all(*given)
    )
    drop = root / "data" / "drop"
    drop.mkdir(parents=True)
    for name in ("first", "second"):
        face_folder(4, name=name).rename(drop / name)
    first, second = drops_in(drop)
    text = (root / "params.yaml").read_text()
    what = Plan("base", None, text, False, (first, second))
    assert retraining.prepare(root, root / "clone", what) == [first]
    assert len(hashed) == 1
    report = json.loads((root / RECORDS / second.key / "report.json").read_text())
    assert [failure["reason"] for failure in report["failures"]] == [
        f"repeats folder/{first.key}/{index:03d}.png" for index in range(4)
    ]
    added = retraining.known_hashes(load_params(root / "clone" / "params.yaml"), root / "clone")
    assert added == judge_faces(first.folder, load_params(root / "params.yaml"), {}).hashes_as(
        first.key
    )


def test_retrainings_build_on_the_champion_until_the_user_commits(root):
    states = []
    for number in "123":
        git(root, "checkout", "--quiet", "-b", f"retrain/{number}")
        states.append(commit(root, number, more=number))
    git(root, "checkout", "--quiet", "main")
    newest = planned(root, states[2])
    assert (newest.base, newest.data_commit) == (states[2], None)
    refused = planned(root, states[1])  # the last's params are left, not its data
    assert (refused.base, refused.data_commit) == (states[1], states[2])
    start = git(root, "rev-parse", "HEAD")
    for unknown in (None, "unknown", "0" * 40):  # of another repository, perhaps
        plan = planned(root, unknown)
        assert (plan.base, plan.data_commit) == (start, states[2])
    head = commit(root, "mine", other="x")
    committed = planned(root, states[2])
    assert (committed.base, committed.data_commit) == (head, states[2])
    git(root, "merge", "--quiet", "-m", "merge", "retrain/3")
    merged = planned(root, states[2])
    assert (merged.base, merged.data_commit) == (git(root, "rev-parse", "HEAD"), None)
