"""The file that MLflow copies into every version."""

import ast
import runpy

import pytest

from unmask.registry.pyfunc import Unmask
from unmask.registry.versions import _MODEL_CODE


def test_it_imports_nothing_whose_move_would_break_old_versions():
    imported = {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(_MODEL_CODE.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == {("mlflow.models", "set_model"), ("unmask.registry.pyfunc", "Unmask")}


def test_it_sets_the_model(monkeypatch: pytest.MonkeyPatch):
    models = []
    monkeypatch.setattr("mlflow.models.set_model", models.append)
    runpy.run_path(str(_MODEL_CODE))
    assert [type(model) for model in models] == [Unmask]
