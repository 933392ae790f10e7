"""Views of masked faces: what the gender, landmark and segmentation networks are shown."""

import cv2
import numpy as np

from unmask.augmentation.transforms import enlarged_part, jitter, photographed, printed, view
from unmask.datasets.cache import Split
from unmask.geometry.frame import UNSHOWN, chained, resizing, warp

_BARE = 0.12  # share of faces shown without a mask, so that one is not always found
_LYING = 0.2  # share of loosely framed faces that lie on their side
_SLIM = 0.25  # share of loosely framed faces that are made slimmer
_PRINTED = 0.35  # share of masks that something else is printed on


def _view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    scale: tuple[float, float],
    roll: float,
    shift: float,
    squeeze: float = 1.0,
    photometric: float,
) -> dict[str, np.ndarray]:
    matrix = jitter(rng, split.size, scale=scale, roll=roll, shift=shift, squeeze=squeeze)
    bare = rng.random() < _BARE
    mask = np.asarray(split.mask[face, variant])
    image, mask, landmarks = view(
        np.asarray(split.image[face] if bare else split.masked[face, variant]),
        np.zeros_like(mask) if bare else mask,
        split.landmarks[face],
        matrix,
        bool(rng.integers(2)),
        size,
        around=(UNSHOWN,) * 3 if rng.integers(2) else tuple(rng.integers(0, 256, 3).tolist()),
    )
    return {
        "image": photographed(image, rng, photometric),
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }


def aligned(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
) -> dict[str, np.ndarray]:
    """A face as alignment by predicted landmarks leaves it: nearly in the frame."""
    made = {"scale": (0.85, 1.18), "roll": 5, "shift": 0.05}
    return _view(split, face, variant, rng, size=size, **made, photometric=photometric)


def loosely_framed(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
) -> dict[str, np.ndarray]:
    """Half aligned, the others anywhere between a tight chip and a portrait, rolled up to 30
    degrees or, one in five of them, lying on their side; one in four is slim, as turned heads are,
    which the sources show too few of."""
    if rng.integers(2):
        return aligned(split, face, variant, rng, size=size, photometric=photometric)
    roll = 60 if rng.random() < _LYING else 14
    squeeze = 0.55 if rng.random() < _SLIM else 1.0
    made = {"scale": (0.42, 1.4), "roll": roll, "shift": 0.12, "squeeze": squeeze}
    return _view(split, face, variant, rng, size=size, **made, photometric=photometric)


def in_surroundings(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
) -> dict[str, np.ndarray]:
    """As frames that follow a mask show it: half aligned, half down to the smallest that widening
    leads to, with parts of another picture around what theirs shows, and printed on some masks."""
    other = np.asarray(split.image[rng.integers(len(split))])
    masked, mask = (np.asarray(of[face, variant]) for of in (split.masked, split.mask))
    if mask.any() and rng.random() < _PRINTED:
        masked = printed(masked, mask, enlarged_part(other, rng), rng)
    made = {"scale": (0.85, 1.18), "roll": 5, "shift": 0.05}
    if rng.integers(2):
        made = {"scale": (0.5, 1.18), "roll": 10, "shift": 0.1}
    matrix, flip = jitter(rng, split.size, **made), bool(rng.integers(2))
    bare = rng.random() < _BARE
    image, mask, landmarks = view(
        np.asarray(split.image[face]) if bare else masked,
        np.zeros_like(mask) if bare else mask,
        split.landmarks[face],
        matrix,
        flip,
        size,
    )
    valid = np.asarray(split.valid[face]).astype(np.uint8) * 255
    shown = warp(valid, chained(matrix, resizing(split.size, size)), (size, size), beyond=0)
    shown = shown[:, ::-1] if flip else shown
    around = np.full_like(image, UNSHOWN)
    if rng.random() < 0.8:
        around = cv2.resize(enlarged_part(other, rng), (size, size), interpolation=cv2.INTER_AREA)
    return {
        "image": photographed(np.where(shown[..., None] == 255, image, around), rng, photometric),
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }


def unchanged(
    split: Split, face: int, variant: int, rng: np.random.Generator, *, size: int
) -> dict[str, np.ndarray]:
    """The masked face as it is, for validation."""
    del rng
    image, mask, landmarks = view(
        np.asarray(split.masked[face, variant]),
        np.asarray(split.mask[face, variant]),
        split.landmarks[face],
        np.eye(2, 3),
        False,
        size,
    )
    return {
        "image": image,
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }
