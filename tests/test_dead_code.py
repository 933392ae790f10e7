"""Functions, classes and constants of the package are used by it or by the flows."""

import ast
from collections.abc import Iterator
from pathlib import Path

from project import ROOT

NOT_CALLED_HERE = {
    ("unmask", "__version__"),  # read by pip's users
    ("unmask.masking", "__all__"),
    ("unmask.faces.sources", "__all__"),
}


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part not in ("src", "__init__"))


TREES = {
    module_of(file): ast.parse(file.read_text())
    for folder in ("src/unmask", "flows")
    for file in (ROOT / folder).rglob("*.py")
}


def used_in(module: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(module, name) of what a module reads or imports."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield module, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield modules.get(node.value.id), node.attr


def defined_in(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) or (
            isinstance(node, ast.FunctionDef) and not node.decorator_list
        ):  # what decorates a function may call it
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in getattr(node, "targets", None) or [node.target]:
                yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def test_nothing_is_defined_that_is_not_used():
    used = {name for module, tree in TREES.items() for name in used_in(module, tree)}
    defined = {(module, name) for module, tree in TREES.items() for name in defined_in(tree)}
    assert defined - used - NOT_CALLED_HERE == set()


def test_every_kind_of_error_is_caught_by_name_or_has_a_status_or_kinds_of_its_own():
    nodes = [node for tree in TREES.values() for node in ast.walk(tree)]
    caught = {
        name.id
        for node in nodes
        if isinstance(node, ast.ExceptHandler) and node.type
        for name in ast.walk(node.type)
        if isinstance(name, ast.Name)
    }
    kinds = [
        n
        for n in nodes
        if isinstance(n, ast.ClassDef) and n.bases and "Error" in ast.unparse(n.bases[0])
    ]
    bases = {ast.unparse(base) for kind in kinds for base in kind.bases}
    needless = {
        kind.name
        for kind in kinds
        if kind.name not in caught | bases and "status" not in ast.unparse(kind)
    }
    assert needless == set()
