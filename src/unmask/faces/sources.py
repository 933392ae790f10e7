"""The sources of faces that params name, behind one interface: items that can be read later."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from unmask.config.params import Source
from unmask.faces.celeba import read_celeba
from unmask.faces.ffhq import read_ffhq
from unmask.faces.folder import SourceError, read_annotations
from unmask.faces.lfw import read_lfw
from unmask.faces.records import Face
from unmask.faces.synthetic import Sampled
from unmask.faces.utkface import read_utkface
from unmask.project import is_url, located

READERS = {
    "celeba": read_celeba,
    "ffhq": read_ffhq,
    "lfw": read_lfw,
    "utkface": read_utkface,
    "folder": lambda folder: read_annotations(folder, "folder"),
}


class Item(Protocol):
    """A face that is not read yet; picklable, so that a worker process can read it."""

    @property
    def id(self) -> str:
        """Unique over all sources."""

    def read(self) -> Face:
        """Decode or sample the face."""


def _spread(items: Sequence[Item], count: int | None) -> Sequence[Item]:
    """At most `count` items, evenly spaced, so that a part is representative of the source."""
    if count is None or count >= len(items):
        return items
    return [items[i * len(items) // count] for i in range(count)]


def items_of(source: Source, root: Path, seed: int, size: int) -> Sequence[Item]:
    """The faces of one source.

    Args:
        source: its params; a relative path starts at `root`.
        root: the folder of params.yaml.
        seed: of synthetic faces.
        size: side in pixels of the frames of synthetic faces.

    Raises:
        SourceError: for a missing folder or a malformed table.
    """
    if source.name == "appearance_model":
        assert source.count is not None
        return [Sampled(seed, index, size) for index in range(source.count)]
    return _spread(READERS[source.name](path_of(source, root)), source.count)


def path_of(source: Source, root: Path) -> Path:
    """The folder of a source of photos, or its place in a bucket.

    Args:
        source: its params; a relative path starts at `root`.
        root: the folder of params.yaml.
    """
    assert source.path is not None
    return located(source.path) if is_url(source.path) else root / source.path


__all__ = ["Item", "Sampled", "SourceError", "items_of", "path_of"]
