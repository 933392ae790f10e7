"""Profiles of conf/ written into params.yaml, and changes of single params."""

from collections.abc import Collection, Sequence
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from unmask.config.params import parse_params
from unmask.errors import UnmaskError
from unmask.project import write_whole

BASE = "cpu"
_NULL = "tag:yaml.org,2002:null"


def _lay_over(base: dict, over: dict) -> None:
    """Replace values of nested mappings by those of `over`, in place; comments of `base` stay."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _lay_over(base[key], value)
        else:
            base[key] = value


def _yaml() -> YAML:
    """A YAML that writes what it reads as conf/ writes it."""
    yaml = YAML()
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar(_NULL, "null")
    )
    return yaml


def change_params(text: str, changes: dict[str, object], declared: Sequence[str]) -> str:
    """The text of a params file with some values changed.

    Where all values are as asked already, the text comes back as it was.

    Args:
        text: the params file's YAML.
        changes: dotted names, e.g. 'masking.types' or 'masking.types.surgical', to values.
        declared: dotted names that may be changed, each with all below it.

    Raises:
        UnmaskError: naming a param that is not declared or does not exist, or a value that does
            not fit.
    """
    tree = _yaml().load(text)
    for name, value in changes.items():
        if not any(name == d or name.startswith(f"{d}.") for d in declared):
            raise UnmaskError(
                f"'{name}' may not be changed by a retraining: loop.declared allows "
                f"{', '.join(declared)}."
            )
        *path, last = name.split(".")
        section = tree
        for part in path:
            section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict) or last not in section:
            raise UnmaskError(f"there is no parameter '{name}': correct its name.")
        section[last] = value
    return _text_of(tree, text)


def add_sources(text: str, paths: Sequence[str]) -> str:
    """The text of a params file with annotated folders added to its sources of faces.

    Folders that are sources already are not added again.
    """
    tree = _yaml().load(text)
    named = {source.get("path") for source in tree["faces"]["sources"]}
    tree["faces"]["sources"] += [
        {"name": "folder", "path": path} for path in paths if path not in named
    ]
    return _text_of(tree, text)


def remove_sources(text: str, paths: Collection[str]) -> str:
    """The text of a params file without the sources of faces in folders.

    Raises:
        UnmaskError: when no source is left.
    """
    tree = _yaml().load(text)
    sources = tree["faces"]["sources"]
    for index in reversed(range(len(sources))):
        if sources[index].get("path") in paths:
            del sources[index]
    return _text_of(tree, text)


def _text_of(tree: CommentedMap, before: str) -> str:
    """The tree as YAML, checked; `before` itself if no value differs from its own."""
    written = StringIO()
    _yaml().dump(tree, written)
    plain, path = YAML(typ="safe"), Path("params.yaml")
    after = parse_params(plain.load(written.getvalue()), path)
    return before if after == parse_params(plain.load(before), path) else written.getvalue()


def use_profile(name: str, conf: Path, out: Path) -> None:
    """Write a profile as a complete params file: its values over those of the profile `cpu`.

    Args:
        name: the profile, e.g. 'smoke' for `conf`/smoke.yaml.
        conf: the folder of profiles.
        out: the params file to write.

    Raises:
        UnmaskError: for an unknown profile, or one whose keys or values do not fit; `out` then
            stays as it was.
    """
    chosen = conf / f"{name}.yaml"
    if not chosen.is_file():
        known = ", ".join(sorted(p.stem for p in conf.glob("*.yaml")))
        raise UnmaskError(f"there is no profile '{name}': use one of {known or 'conf/'}.")
    yaml = _yaml()
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
    write_whole(out, text.getvalue().encode())
