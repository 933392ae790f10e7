"""The sources of faces that params name, behind one interface: items that can be read later."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from unmask.config.params import Source
from unmask.datasets.splits import split_of
from unmask.face_model.appearance_model import EMBEDDED, AppearanceModel
from unmask.faces.celeba import read_celeba
from unmask.faces.ffhq import read_ffhq
from unmask.faces.folder import SourceError, read_annotations
from unmask.faces.lfw import read_lfw
from unmask.faces.records import Face
from unmask.faces.utkface import read_utkface

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


@cache
def _embedded_model() -> AppearanceModel:
    return AppearanceModel.load(EMBEDDED)


@dataclass(frozen=True)
class Sampled:
    """A synthetic face, not sampled yet: number `index` of `seed`, `size` pixels wide."""

    seed: int
    index: int
    size: int

    @property
    def id(self) -> str:
        """Unique over all sources."""
        return f"appearance_model/{self.seed}/{self.index:06d}"

    def read(self) -> Face:
        """Sample the face; the same (seed, index, size) gives the same pixels."""
        rng = np.random.default_rng([self.seed, self.index])
        sampled = _embedded_model().sample(rng, self.size)
        return Face(
            image=sampled.image,
            landmarks=sampled.landmarks,
            gender=sampled.gender,
            valid=np.ones(sampled.image.shape[:2], bool),
            split=split_of(self.id),
            source="appearance_model",
            id=self.id,
            identity=self.id,
            age=sampled.age,
            ethnicity=sampled.ethnicity,
        )


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
    assert source.path is not None
    return _spread(READERS[source.name](root / source.path), source.count)


__all__ = ["Item", "Sampled", "SourceError", "items_of"]
