"""Reading only reads: other people's stores, older ones and damaged ones stay as they are."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from project import DVC_YAML

from unmask.errors import TEMPORARY, UnmaskError
from unmask.registry.champions import commit_of_champion, history, roll_back
from unmask.registry.loading import find_networks
from unmask.registry.versions import (
    NAME,
    find_version,
    list_versions,
    networks_of,
    verdict_of,
    version_of,
)
from unmask.store import connect
from unmask.tracking import find_run

FOREIGN = "stages: {train: {cmd: python train.py}}\n"
READING: list[Callable[[], object]] = [
    find_networks,
    list_versions,
    history,
    commit_of_champion,
    connect,
    lambda: version_of("champion"),
    lambda: networks_of("models:/unmask@champion"),
    lambda: networks_of("models:/unmask/1"),
    lambda: find_version(connect(), "1"),
    lambda: verdict_of("1"),
    lambda: find_run(connect(), {"a": "b"}),
    lambda: roll_back("a test"),
    lambda: find_networks("a typo"),
]


def sentence_of(read: Callable[[], object]) -> str:
    """What a call that only reads says where it fails."""
    try:
        read()
    except UnmaskError as error:
        return str(error)
    return ""


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path.read_bytes() for path in files if path.name != "tracking.lock"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # so that what mlflow sets is undone
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def older_store(file: Path) -> None:
    """A store as an older MLflow leaves it, which lacks tables of this one."""
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('451aebb31d03')")
        database.execute("CREATE TABLE experiments (experiment_id INTEGER, name VARCHAR(256))")
        database.execute("INSERT INTO experiments VALUES (0, 'Default')")
    database.close()


def damaged_store(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + b"damage" * 1000)


def another_database(file: Path) -> None:
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE groceries (name TEXT)")
    database.close()


@pytest.mark.parametrize("make", [older_store, damaged_store, another_database])
@pytest.mark.parametrize("project", [FOREIGN, None])
def test_the_store_of_another_project_is_not_ours(folder, make, project):
    make(folder / "mlflow.db")
    if project:
        (folder / "dvc.yaml").write_text(project)
    before = content(folder)
    networks, name = find_networks()
    assert name.startswith("unmask/release-")
    assert networks.is_dir()
    for read in READING:
        assert "\n" not in sentence_of(read)
    assert content(folder) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (older_store, "mlflow db upgrade sqlite:///"),
        (damaged_store, "damaged or no MLflow store"),
        (another_database, "damaged or no MLflow store"),
    ],
)
def test_a_store_of_ours_that_cannot_be_used_gets_a_sentence_and_stays(folder, make, words):
    (folder / "dvc.yaml").write_text(DVC_YAML)
    make(folder / "mlflow.db")
    before = content(folder)
    for read in READING:
        with pytest.raises(UnmaskError, match=words) as refused:
            read()
        assert refused.value.status != TEMPORARY
    with pytest.raises(UnmaskError, match="--model release"):
        find_networks()
    assert find_networks("release")[1].startswith("unmask/release-")
    assert content(folder) == before


def test_where_there_is_no_store_none_is_made(folder):
    (folder / "dvc.yaml").write_text(DVC_YAML)
    before = content(folder)
    for read in READING:
        assert "\n" not in sentence_of(read)
    assert list_versions() == history() == []
    assert content(folder) == before


def test_a_store_without_our_experiment_gets_none_by_reading(folder):
    (folder / "dvc.yaml").write_text(DVC_YAML)
    connect(create=True)
    for read in READING:
        assert "\n" not in sentence_of(read)
    assert "there is no model 'a typo': use release" in sentence_of(READING[-1])
    assert mlflow.MlflowClient().get_experiment_by_name(NAME) is None
