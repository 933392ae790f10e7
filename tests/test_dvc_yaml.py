"""dvc.yaml: stages declare all that they depend on, and networks are found by name."""

import ast
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from project import ROOT
from ruamel.yaml import YAML
from torch import nn

from flows.stages import stage_names
from unmask import models
from unmask.config.params import NETWORKS, Params
from unmask.errors import UnmaskError
from unmask.training import train
from unmask.training.gender import GenderModule

SRC = ROOT / "src"
# What these declare reaches a stage as params, so that a new key elsewhere retrains nothing.
NOT_DEPENDENCIES = {"errors.py", "extras.py", "__init__.py"}
DECLARATIONS = SRC / "unmask/config"
# They import all networks and choose one by its name: what they choose is declared, no more.
LOOKUPS = {SRC / "unmask/models/__init__.py", SRC / "unmask/training/train.py"}


@cache
def imported(path: Path) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    if path in LOOKUPS:
        networks = {f"{package}.{name}" for package in PER_NETWORK for name in NETWORKS}
        names = {name for name in names if not any(name.startswith(n) for n in networks)}
    return frozenset(names)


PER_NETWORK = ("unmask.models", "unmask.training")


def file_of(name: str) -> Path | None:
    base = SRC / name.replace(".", "/")
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if name.startswith("unmask") and path.is_file():
            return path
    return None


def closure(start: list[Path]) -> set[Path]:
    seen, waiting = set(), list(start)
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += [f for f in map(file_of, imported(path)) if f is not None]
            package = path.parent / "__init__.py"
            waiting += [package] if package.is_file() else []
    return seen


def stages() -> dict[str, dict]:
    document = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    training = document.pop("train")
    for key, item in training["foreach"].items():
        text = str(training["do"]).replace("${key}", key)
        for name, value in item.items():
            text = text.replace(f"${{item.{name}}}", value)
        document[f"train@{key}"] = ast.literal_eval(text)
    return document


def entry(stage: str, definition: dict) -> list[Path]:
    start = [file_of(definition["cmd"].split()[2])]
    if stage.startswith("train@"):
        network = stage.partition("@")[2]
        guide = train.MODULES[network].guided_by
        start += [file_of(f"{package}.{network}") for package in PER_NETWORK]
        start += [file_of(f"unmask.models.{guide}")] if guide else []
    else:
        start += sorted((SRC / "unmask/models").glob("*.py")) if stage == "evaluate" else []
    return start


@pytest.mark.parametrize("stage", stages())
def test_stage_declares_what_it_imports(stage):
    definition = stages()[stage]
    declared = [ROOT / dep for dep in definition["deps"]]
    for dep in declared:
        if dep.is_relative_to(SRC):
            assert dep.exists(), f"{stage} depends on {dep}, which does not exist"
    needed = {
        path
        for path in closure(entry(stage, definition))
        if (path.name not in NOT_DEPENDENCIES and DECLARATIONS not in path.parents)
        or path in LOOKUPS
    }
    missing = [
        str(path.relative_to(ROOT))
        for path in sorted(needed)
        if not any(path == dep or dep in path.parents for dep in declared)
    ]
    assert missing == []


@pytest.mark.parametrize("stage", stages())
def test_stage_params_exist(stage):
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    for key in stages()[stage].get("params", []):
        part = params
        for name in key.split("."):
            part = part[name]
        assert part is not None


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_depends_on_the_released_weights_that_it_may_start_from(network):
    assert f"src/unmask/release/{network}" in stages()[f"train@{network}"]["deps"]


@pytest.mark.parametrize("stage", ["evaluate", "reference", "register"])
def test_a_stage_of_the_whole_chain_depends_on_every_network(stage):
    assert {f"models/{network}" for network in NETWORKS} <= set(stages()[stage]["deps"])


def test_a_stage_that_is_added_is_found_by_the_flows(tmp_path, monkeypatch):
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    yaml = YAML()
    document = yaml.load(tmp_path / "dvc.yaml")
    document["stages"]["publish"] = {"cmd": "true", "deps": ["reports/registered.json"]}
    yaml.dump(document, tmp_path / "dvc.yaml")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    names = stage_names(tmp_path)
    assert names[-1] == "publish"
    assert set(names) == {*stages(), "publish"}


def test_a_network_that_is_added_is_found(monkeypatch, smoke: Params, split):
    class Blind(nn.Module):
        def forward(self, images):
            return images.mean(dim=(1, 2, 3))

    class BlindModule(GenderModule):
        name = "blind"

    monkeypatch.setitem(models.BUILDERS, "blind", lambda params, *, pretrained: Blind())
    monkeypatch.setitem(train.MODULES, "blind", BlindModule)
    module = train.make_module(
        "blind", smoke.train.gender, smoke.augment.gender, split, split, 0, Path()
    )
    assert isinstance(module.network, Blind)


def test_every_network_of_the_params_can_be_built_and_trained():
    assert tuple(models.BUILDERS) == tuple(train.MODULES) == NETWORKS


def test_a_project_without_git_is_told(tmp_path):
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    with pytest.raises(UnmaskError, match=r"is no git repository.*git init"):
        stage_names(tmp_path)
