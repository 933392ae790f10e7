"""New faces that a retraining learned from, after DVC's cache was emptied of them."""

import re
from pathlib import Path

import pytest
from project import ROOT, empty_project

from unmask.config.params import load_params
from unmask.config.profiles import use_profile
from unmask.retraining.clone import CloneError, collect_garbage, dvc, git, is_kept, pull_data
from unmask.retraining.plan import Plan, make_plan, prepare

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A project with a drop of new faces."""
    folder = empty_project(tmp_path / "project")
    (folder / ".gitignore").write_text("/data/drop/\n/.unmask/\n/retraining*/\n")
    use_profile("smoke", ROOT / "conf", folder / "params.yaml")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "start")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def dropped(root, face_folder) -> Path:
    (root / "data" / "drop").mkdir(parents=True)
    return face_folder(4).rename(root / "data" / "drop" / "mine")


def planned(root: Path, champion: str | None = None) -> Plan:
    return make_plan(root, load_params(root / "params.yaml"), None, champion)


def retrained(root: Path, number: int) -> tuple[Path, str]:
    """A retraining's clone, its branch pushed; and the .dvc file of the only drop."""
    clone = root / f"retraining{number}"
    (drop,) = prepare(root, clone, planned(root))
    git(clone, "push", "--quiet", "origin", f"refs/heads/retrain/{clone.name}")
    return clone, f"data/sources/{drop.key}.dvc"


def test_garbage_is_what_no_retraining_learned_from(root, dropped):
    clone, pointer = retrained(root, 1)
    text = (clone / pointer).read_text()
    (root / "other.txt").write_text("of no commit")
    dvc(root, "add", "other.txt")
    other = (root / "other.txt.dvc").read_text()
    (root / "other.txt.dvc").unlink()
    assert is_kept(root, text)
    assert is_kept(root, other)
    collect_garbage(root)
    assert is_kept(root, text)
    assert not is_kept(root, other)
    dvc(root, "gc", "--workspace", "--force")
    assert not is_kept(root, text)


def test_new_faces_whose_copy_was_lost_are_taken_again(root, dropped):
    _, pointer = retrained(root, 1)
    assert planned(root).is_empty
    dvc(root, "gc", "--workspace", "--force")
    (drop,) = planned(root).drops
    assert pointer.endswith(f"{drop.key}.dvc")
    clone, _ = retrained(root, 2)
    assert (clone / f"data/sources/{drop.key}").is_dir()
    named = [source.path for source in load_params(clone / "params.yaml").faces.sources]
    assert named.count(f"data/sources/{drop.key}") == 1
    assert is_kept(root, (clone / pointer).read_text())
    assert planned(root).is_empty


@pytest.mark.parametrize("champion", [False, True])
def test_faces_that_are_lost_for_good_are_left_out_with_a_warning(root, dropped, capsys, champion):
    first, pointer = retrained(root, 1)
    dvc(root, "gc", "--workspace", "--force")
    dropped.rename(root / "taken-away")
    clone = root / "retraining2"
    commit = git(first, "rev-parse", "HEAD")
    plan = planned(root, commit if champion else None)
    assert plan.is_empty
    assert (plan.base == commit) == champion
    assert (plan.data_commit is None) == champion
    assert prepare(root, clone, plan) == []
    said = capsys.readouterr().out
    assert "is neither in the DVC cache nor in a remote: trained without it" in said
    assert not (clone / pointer).exists()
    sources = load_params(clone / "params.yaml").faces.sources
    assert [source.name for source in sources] == ["appearance_model"]


def test_a_damaged_copy_in_the_cache_is_named(root, dropped):
    clone, pointer = retrained(root, 1)
    assert pull_data(clone, [pointer]) is None
    cache = root / ".dvc" / "cache" / "files" / "md5"
    (picture,) = (p for p in cache.glob("*/*") if p.read_bytes() == first_of(clone, pointer))
    picture.chmod(0o644)
    picture.write_bytes(picture.read_bytes()[:-1] + b"?")
    picture.chmod(0o444)
    source = pointer.removesuffix(".dvc")
    named = f"{re.escape(str(picture))} in DVC's cache, of {source}, is damaged"
    with pytest.raises(CloneError, match=named):
        pull_data(clone, [pointer])
    tree = next(cache.glob("*/*.dir"))
    tree.chmod(0o644)
    tree.write_bytes(tree.read_bytes()[:-1])
    with pytest.raises(CloneError, match=f"{re.escape(str(tree))} in DVC's cache"):
        pull_data(clone, [pointer])


def first_of(clone: Path, pointer: str) -> bytes:
    """The first picture of the new faces."""
    folder = clone / pointer.removesuffix(".dvc")
    return next(f for f in sorted(folder.iterdir()) if f.suffix != ".parquet").read_bytes()
