"""Profiles of conf/, written into params.yaml."""

from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from unmask.params import ParamsError, parse_params

BASE = "cpu"


def _lay_over(base: CommentedMap, over: CommentedMap) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value


def use_profile(name: str, conf: Path, out: Path) -> None:
    """Write a profile, laid over the profile `cpu`, as a whole params file.

    Raises:
        ParamsError: for an unknown profile, or one whose keys or values do not fit; `out` then
            stays as it was.
    """
    chosen = conf / f"{name}.yaml"
    if not chosen.is_file():
        known = ", ".join(sorted(p.stem for p in conf.glob("*.yaml")))
        raise ParamsError(f"there is no profile '{name}': use one of {known or 'conf/'}.")
    yaml = YAML()
    yaml.width = 200
    tree = yaml.load((conf / f"{BASE}.yaml").read_text())
    if name != BASE:
        _lay_over(tree, yaml.load(chosen.read_text()))
        tree.yaml_set_start_comment(
            f"Profile {name}: conf/{name}.yaml laid over conf/{BASE}.yaml by "
            f"`unmask params use {name}`.\n"
        )
    text = StringIO()
    yaml.dump(tree, text)
    parse_params(YAML(typ="safe").load(text.getvalue()), chosen)
    out.write_text(text.getvalue())
