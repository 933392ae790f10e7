"""What to install where an import fails: the extra that brings it, or OpenCV without libGL."""

import re
import sys
from importlib.metadata import PackageNotFoundError, requires
from itertools import takewhile
from pathlib import Path

_REQUIREMENT = re.compile(r"([\w.-]+).*;.*\bextra == ['\"](\w+)['\"]")
_WITHOUT_LIBGL = (
    "OpenCV cannot be loaded, since there is no libGL here: run `pip uninstall -y opencv-python`, "
    "then `pip install --force-reinstall --no-deps opencv-python-headless`."
)
_DISTRIBUTIONS = {
    "psycopg2": "psycopg2-binary",
    "sklearn": "scikit-learn",
    "upath": "universal-pathlib",
}  # modules with no name like their distribution's


def extras_of(module: str) -> list[str]:
    """The extras that bring a top-level module, in the order in which pyproject.toml has them."""
    name = _DISTRIBUTIONS.get(module, module).replace("_", "-")
    names = {name, f"{name}-bin", f"{name}-python"}
    try:
        declared = requires("unmask") or []
    except PackageNotFoundError:  # run from its sources, uninstalled
        return []
    found = [match for line in declared if (match := _REQUIREMENT.match(line))]
    return [match[2] for match in found if match[1].lower().replace("_", "-") in names]


def what_to_install(error: ImportError, preferred: str = "") -> str | None:
    """The sentence that tells what to install where an import failed.

    Args:
        error: names the module that is missing, or the library that it needs.
        preferred: the extra that is named where several bring the module and this is one of them.

    Returns:
        None where it is neither a module of an extra nor libGL that is missing.
    """
    if "libGL" in str(error):
        return _WITHOUT_LIBGL
    extras = extras_of(error.name or "")
    if not extras:
        return None
    extra = preferred if preferred in extras else extras[0]
    return (
        f"{_command()} needs {error.name}, which the extra '{extra}' brings: "
        f"pip install 'unmask[{extra}]'."
    )


def _command() -> str:
    """What runs, as its user calls it: `unmask models list`, `python -m flows.train`."""
    module = sys.modules["__main__"].__spec__
    if module is not None:
        return f"python -m {module.name}"
    return " ".join([Path(sys.argv[0]).name, *takewhile(str.isalpha, sys.argv[1:3])])
