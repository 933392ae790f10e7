"""The rules of the house: who imports whom, and that stages declare all they depend on."""

import ast
from functools import cache
from pathlib import Path

import pytest
from project import ROOT
from ruamel.yaml import YAML

SRC = ROOT / "src"
LAYERS = (
    ("errors",),
    ("section", "gate_params", "production_params", "params", "profiles"),
    ("faces",),
    ("masking",),
    ("data",),
    ("models",),
    ("losses",),
    ("metrics",),
    ("training",),
    ("restore",),
    ("evaluation",),
    ("registry",),
    ("monitoring",),
    ("serving",),
    ("cli",),
)
# What these declare reaches a stage as params, so that a new key elsewhere retrains nothing.
NOT_DEPENDENCIES = {
    "errors.py",
    "section.py",
    "gate_params.py",
    "production_params.py",
    "params.py",
    "__init__.py",
}
MODULES = sorted(path for path in (SRC / "unmask").rglob("*.py"))


def layer(path: Path) -> int:
    part = path.relative_to(SRC / "unmask").parts[0].removesuffix(".py")
    return next(i for i, names in enumerate(LAYERS) if part in names)


@cache
def imported(path: Path) -> frozenset[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_one_way(path):
    if path == SRC / "unmask" / "__init__.py":
        return
    for name in imported(path):
        target = file_of(name)
        if target is not None and target.parent != SRC / "unmask":
            assert layer(target) <= layer(path), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_only_their_homes_import_mlflow_and_prefect(path):
    roots = {name.partition(".")[0] for name in imported(path)}
    assert "prefect" not in roots
    part = path.relative_to(SRC / "unmask")
    if part.parts[0] != "registry" and part != Path("training/tracking.py"):
        assert "mlflow" not in roots


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_files_have_one_subject(path):
    assert path.stem not in ("utils", "helpers", "common", "misc")
    assert len(path.read_text().splitlines()) <= 300


def stages() -> dict[str, dict]:
    document = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    train = document.pop("train")
    for key, item in train["foreach"].items():
        text = str(train["do"]).replace("${key}", key)
        for name, value in item.items():
            text = text.replace(f"${{item.{name}}}", value)
        document[f"train@{key}"] = ast.literal_eval(text)
    return document


def entry(stage: str, definition: dict) -> list[Path]:
    module = definition["cmd"].split()[2]
    start = [file_of(module)]
    if stage.startswith("train@"):  # chosen by name at run time
        network = stage.partition("@")[2]
        start += [file_of(f"unmask.models.{network}"), file_of(f"unmask.training.{network}")]
    if stage in ("faces", "masked"):
        start.append(file_of(f"unmask.data.{stage}_stage"))
    if stage == "evaluate":
        start += sorted((SRC / "unmask" / "models").glob("*.py"))
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
        if path.name not in NOT_DEPENDENCIES or path == SRC / "unmask/models/__init__.py"
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
