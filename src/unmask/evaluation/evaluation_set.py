"""The faces that are scored: part of a split, with one fixed mask each."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unmask.datasets.cache import Split
from unmask.errors import UnmaskError
from unmask.geometry.frame import canonical_transform, invert, shown, warp

_FITTING_FACES = 2000


_LEAST = 2  # faces, which the Frechet distance needs


@dataclass(frozen=True)
class EvaluationSet:
    """N masked faces in memory, each with its first mask.

    Pixels that are not valid are padding: parts of a frame beyond the source's picture, or what
    brings pictures to one size.

    Attributes:
        images: (N, H, W, 3) uint8 RGB, the true faces.
        masked: (N, H, W, 3) uint8 RGB, the same faces with a mask.
        valid: (N, H, W) bool.
        masks: (N, H, W) bool.
        landmarks: (N, 68, 2) float32, pixels.
        gender: (N,) int64, 1 male, 0 female, -1 unknown.
        labels: per face, the labels of the face and the style of its mask.
        framed: whether every picture is the canonical frame.
    """

    images: np.ndarray
    masked: np.ndarray
    valid: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray
    gender: np.ndarray
    labels: list[dict]
    framed: bool = True

    def __len__(self) -> int:
        return len(self.images)


def select_faces(split: Split, limit: int, source: str | None = None) -> EvaluationSet:
    """At most `limit` faces, evenly spread over the split, whose hole has any valid pixel.

    Args:
        split: the split to select from.
        limit: number of faces, at least 1.
        source: name of the only source to select from; None selects from all.

    Raises:
        UnmaskError: when the split has no face of that source, or too few.
    """
    faces = [i for i, label in enumerate(split.labels) if source in (None, label["source"])]
    if not faces:
        raise UnmaskError(f"no face of the split is of the source '{source}': correct its name.")
    count = min(limit, len(faces))
    chosen = [faces[i * len(faces) // count] for i in range(count)]
    chosen = [i for i in chosen if (split.mask[i, 0] & split.valid[i]).any()]
    if len(chosen) < _LEAST:
        raise UnmaskError(
            f"the split has {len(chosen)} faces to score, and {_LEAST} are needed: add faces to "
            "the sources, or raise evaluate.max_faces."
        )
    genders = np.array([split.gender(i) for i in chosen])
    return EvaluationSet(
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
        Images (N, S, S, 3) uint8 RGB and their valid pixels (N, S, S) bool.
    """
    limit = min(_FITTING_FACES, len(split))
    spread = np.arange(limit) * len(split) // limit
    return split.image[spread], split.valid[spread]


def box_of(valid: np.ndarray) -> tuple[slice, slice]:
    """The bounding box of the valid pixels of a padded picture: the picture before padding.

    Args:
        valid: (H, W) bool, not all False.

    Returns:
        The box's rows and columns.
    """
    rows, columns = (np.flatnonzero(valid.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def fill_pictures(
    fill: Callable[[np.ndarray, np.ndarray], np.ndarray], eval_set: EvaluationSet
) -> np.ndarray:
    """Fill the true holes of an evaluation set, and its padding, by a baseline.

    Args:
        fill: from a picture (H, W, 3) uint8 and a hole (H, W) bool to a filled picture.
        eval_set: the masked faces.

    Returns:
        (N, H, W, 3) uint8.
    """
    holes = eval_set.masks | ~eval_set.valid
    return np.stack([fill(p, h) for p, h in zip(eval_set.masked, holes, strict=True)])


def fill_frames(
    fill: Callable[[np.ndarray, np.ndarray], np.ndarray], eval_set: EvaluationSet, size: int
) -> np.ndarray:
    """Fill the true holes by a baseline that was fitted to faces in the canonical frame.

    Each face is warped into the frame by its true landmarks and filled there; the pixels of its
    hole are warped back.

    Args:
        fill: from a frame (size, size, 3) uint8 and a hole (size, size) bool to a filled frame.
        eval_set: the masked faces.
        size: side of the frame in pixels.

    Returns:
        (N, H, W, 3) uint8.
    """
    if eval_set.framed:
        return fill_pictures(fill, eval_set)
    filled = []
    for picture, mask, valid, points in zip(
        eval_set.masked, eval_set.masks, eval_set.valid, eval_set.landmarks, strict=True
    ):
        transform, side = canonical_transform(points, size), (size, size)
        hole = ~shown(valid & ~mask, transform, side)
        crop = fill(warp(picture, transform, side), hole)
        back = warp(crop, invert(transform), picture.shape[1::-1], beyond=None)
        filled.append(np.where(mask[..., None], back, picture))
    return np.stack(filled)
