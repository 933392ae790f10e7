"""Views of masked faces: what the gender, landmark and segmentation networks are shown."""

import numpy as np

from unmask.data.augment import jitter, photographed, view
from unmask.data.cache import Split
from unmask.faces.frame import UNSHOWN

_BARE = 0.12  # share of faces shown without a mask, so that one is not always found


def _view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    scale: tuple[float, float],
    roll: float,
    shift: float,
) -> dict[str, np.ndarray]:
    matrix = jitter(rng, split.size, scale=scale, roll=roll, shift=shift)
    bare = rng.random() < _BARE
    mask = np.asarray(split.mask[face, variant])
    image, mask, landmarks = view(
        np.asarray(split.image[face] if bare else split.masked[face, variant]),
        np.zeros_like(mask) if bare else mask,
        split.landmarks[face],
        matrix,
        bool(rng.integers(2)),
        around=(UNSHOWN,) * 3 if rng.integers(2) else tuple(rng.integers(0, 256, 3).tolist()),
    )
    return {
        "image": photographed(image, rng),
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }


def aligned(split: Split, face: int, variant: int, rng: np.random.Generator) -> dict:
    """A face as alignment by predicted landmarks leaves it: nearly in the frame."""
    return _view(split, face, variant, rng, scale=(0.85, 1.18), roll=5, shift=0.05)


def loosely_framed(split: Split, face: int, variant: int, rng: np.random.Generator) -> dict:
    """Half aligned, half anywhere between a tight chip and a portrait, rolled up to 30 degrees."""
    if rng.integers(2):
        return aligned(split, face, variant, rng)
    return _view(split, face, variant, rng, scale=(0.42, 1.4), roll=14, shift=0.12)


def unchanged(split: Split, face: int, variant: int, rng: np.random.Generator) -> dict:
    """The masked face as it is, for validation."""
    del rng
    return {
        "image": np.asarray(split.masked[face, variant]),
        "mask": np.asarray(split.mask[face, variant]),
        "landmarks": split.landmarks[face],
        "gender": split.gender(face),
    }
