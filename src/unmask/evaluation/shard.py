"""The faces that are scored: part of a split, with one fixed mask each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unmask.data.cache import Split

_FITTING_FACES = 2000


@dataclass(frozen=True)
class Shard:
    """N masked faces in memory; the first variant of each.

    Attributes:
        images, masked: (N, S, S, 3) uint8 RGB.
        valid, masks: (N, S, S) bool.
        landmarks: (N, 68, 2) float32.
        gender: (N,) int64, 1 male, 0 female, -1 unknown.
        labels: per face, the labels and the style of its mask.
    """

    images: np.ndarray
    masked: np.ndarray
    valid: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray
    gender: np.ndarray
    labels: list[dict]

    def __len__(self) -> int:
        return len(self.images)


def take(split: Split, limit: int) -> Shard:
    """At most `limit` faces, evenly spread over the split, whose hole shows any valid pixel."""
    count = min(limit, len(split))
    chosen = [i * len(split) // count for i in range(count)]
    chosen = [i for i in chosen if (split.mask[i, 0] & split.valid[i]).any()]
    genders = np.array([split.gender(i) for i in chosen])
    return Shard(
        images=split.image[chosen],
        masked=split.masked[chosen, 0],
        valid=split.valid[chosen],
        masks=split.mask[chosen, 0],
        landmarks=split.landmarks[chosen],
        gender=np.where(np.isfinite(genders), genders, -1).astype(np.int64),
        labels=[
            {k: v for k, v in split.labels[i].items() if k != "variants"}
            | split.labels[i]["variants"][0]
            for i in chosen
        ],
    )


def fitting_faces(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """At most 2,000 faces, evenly spread over a split, that baselines are fitted to.

    Returns:
        (images (N, S, S, 3) uint8, valid (N, S, S) bool).
    """
    limit = min(_FITTING_FACES, len(split))
    spread = np.arange(limit) * len(split) // limit
    return split.image[spread], split.valid[spread]


def fill_shard(fill: Callable[[np.ndarray, np.ndarray], np.ndarray], shard: Shard) -> np.ndarray:
    """A baseline's fills (N, S, S, 3) uint8, given true masks; what is not valid is filled too."""
    holes = shard.masks | ~shard.valid
    return np.stack([fill(p, h) for p, h in zip(shard.masked, holes, strict=True)])
