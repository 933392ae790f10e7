"""Synthetic faces, sampled from the embedded appearance model."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from unmask.datasets.splits import split_of
from unmask.face_model.appearance_model import EMBEDDED, AppearanceModel
from unmask.faces.records import Face


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
