"""Every command and stage finds the project, from its root and from a folder deep in it."""

import importlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from project import DVC_YAML, ROOT

from unmask import cli
from unmask.config.params import load_params
from unmask.config.profiles import use_profile
from unmask.datasets import cache
from unmask.faces import annotate
from unmask.project import ProjectError, in_project, project_root, state_path, tracking_uri


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a folder `deep/down`, which is the working directory."""
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    use_profile("smoke", ROOT / "conf", tmp_path / "params.yaml")
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


class ReachedError(Exception):
    """Ends a command where its work begins."""


@pytest.fixture
def paths_of(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Runs a command until it calls `module.name`; returns the paths given there, resolved."""

    def call(command: Callable[[], object], module: str, name: str) -> list[Path]:
        given: list[Path] = []

        def stop(*arguments: object, **named: object) -> None:
            every = (*arguments, *named.values())
            given.extend(value.resolve() for value in every if isinstance(value, Path))
            raise ReachedError

        monkeypatch.setattr(importlib.import_module(module), name, stop)
        with pytest.raises(ReachedError):
            command()
        return given

    return call


def test_in_the_root_paths_are_as_they_are_typed(project, monkeypatch):
    monkeypatch.chdir(project)
    assert in_project("data/masked") == Path("data/masked")
    assert in_project() == Path()
    assert state_path("cache") == Path(".unmask/cache")


def test_below_it_they_lead_there(project):
    assert project_root() == project.resolve()
    assert in_project("data/masked").resolve() == project / "data" / "masked"
    assert state_path("cache").resolve() == project / ".unmask" / "cache"
    assert load_params() == load_params(project / "params.yaml")


def test_params_use_writes_the_projects_params(project):
    cli.params_use("cpu")
    assert load_params(project / "params.yaml").faces.sources[0].count == 4000
    assert not Path("params.yaml").exists()


def test_data_check_reads_the_folder_given_and_the_projects_sources(project, paths_of):
    paths = paths_of(
        lambda: cli.data_check(Path("drop")), "unmask.retraining.new_faces", "known_hashes"
    )
    assert paths == [project]


def test_release_and_scores(project, paths_of):
    data, reports = project / "data" / "masked", project / "reports" / "release"
    paths = paths_of(
        lambda: cli.release("models", Path("out")), "unmask.registry.releasing", "release"
    )
    assert paths == [data, Path("out").resolve(), reports]
    Path("mine").mkdir()
    paths = paths_of(
        lambda: cli.models_score(Path("out"), "mine"), "unmask.registry.releasing", "score"
    )
    assert paths == [data, Path("mine").resolve(), Path("out").resolve()]


def test_promotion_and_reproduction(project, paths_of):
    paths = paths_of(lambda: cli.models_promote("3"), "unmask.registry.promotion", "promote")
    assert paths == [project / "data" / "masked"]
    paths = paths_of(lambda: cli.models_reproduce("3"), "unmask.retraining.reproduce", "reproduce")
    assert paths == [project / ".unmask" / "reproduced" / "v3"]


def test_sync_registers_the_projects_networks(project, paths_of):
    paths = paths_of(cli.models_sync, "unmask.registry.sync", "register")
    assert paths == [project / "models"]


@pytest.mark.parametrize(
    ("stage", "reached", "folders"),
    [
        ("faces", "make", ["data"]),
        ("masked", "make", ["data"]),
        ("train", "train_network", ["data/masked", "models"]),
        ("evaluate", "open_split", ["data/masked"]),
        ("reference", "open_split", ["data/masked"]),
    ],
)
def test_stages(stage, reached, folders, project, paths_of, monkeypatch):
    monkeypatch.setattr("sys.argv", ["stage", "gender"])
    module = f"unmask.stages.{stage}"
    monkeypatch.setattr(f"{module}.stage_run", lambda *_: nullcontext(Mock()), raising=False)
    paths = paths_of(importlib.import_module(module).main, module, reached)
    assert paths == [project / folder for folder in folders]


def test_what_is_kept_lies_in_the_project(project, masked, monkeypatch):
    cache.open_split(masked, "val")
    assert list((project / ".unmask" / "cache").iterdir())
    monkeypatch.setattr(annotate, "_annotate", lambda image: None)
    annotate.landmarks_of(None, b"a picture")
    assert (project / ".unmask" / "landmarks.db").is_file()
    assert not Path(".unmask").exists()


def test_outside_any_project_one_sentence_says_so(nowhere):
    for needs in (load_params, lambda: cli.params_use("cpu"), cli.models_list, cli.models_sync):
        with pytest.raises(
            ProjectError, match=r"lies in no project.* dvc\.yaml with unmask's stages: change to"
        ):
            needs()
    with pytest.raises(
        ProjectError, match=r"a clone of the project, or set MLFLOW_TRACKING_URI\.$"
    ):
        tracking_uri()
    assert list(nowhere.iterdir()) == []


def test_outside_any_project_the_released_weights_restore(nowhere):
    from unmask.registry.loading import find_networks

    assert find_networks()[1].startswith("unmask/release-")
