"""Views of masked faces: what the gender, landmark and segmentation networks are shown.

A view is a dict of arrays: `image` (S, S, 3) uint8 RGB, `mask` (S, S) bool, `landmarks` (68, 2)
float32 pixels, `gender` float32, 1 for male, 0 for female, NaN where it is not known.
"""

from typing import Any

import cv2
import numpy as np

from unmask.augmentation.transforms import (
    apply_camera,
    jitter,
    print_on_mask,
    random_resized_crop,
    view,
)
from unmask.config.augment import AlignedViews, LooseViews, SurroundedViews
from unmask.datasets.cache import Split
from unmask.geometry.frame import UNSHOWN, chained, resizing, warp
from unmask.masking.placement import put_in_front


def _camera_view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    matrix: np.ndarray,
    *,
    size: int,
    photometric: float,
    augment: AlignedViews,
) -> dict[str, Any]:
    """A view by a transform (2, 3), with or without its mask, as a camera shows it."""
    bare = rng.random() < augment.bare
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
        "image": apply_camera(image, rng, augment.camera, photometric),
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }


def aligned_view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
    augment: AlignedViews,
) -> dict[str, Any]:
    """A face as alignment by predicted landmarks leaves it: nearly in the frame.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: that all is drawn by.
        size: side of the view in pixels.
        photometric: by what share brightness, contrast and saturation change at most.
        augment: the chances and ranges.
    """
    matrix = jitter(rng, split.size, augment.aligned)
    return _camera_view(
        split, face, variant, rng, matrix, size=size, photometric=photometric, augment=augment
    )


def loose_view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
    augment: LooseViews,
) -> dict[str, Any]:
    """Half aligned, the others framed anywhere between a tight chip and a portrait.

    Some of those lie on their side, and some are narrower, as turned heads are, which the sources
    show too few of.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: that all is drawn by.
        size: side of the view in pixels.
        photometric: by what share brightness, contrast and saturation change at most.
        augment: the chances and ranges.
    """
    if rng.integers(2):
        return aligned_view(
            split, face, variant, rng, size=size, photometric=photometric, augment=augment
        )
    roll = augment.lying_roll if rng.random() < augment.lying else augment.loose.roll
    narrowest = augment.narrowest if rng.random() < augment.slim else 1.0
    matrix = jitter(rng, split.size, augment.loose, roll=roll, narrowest=narrowest)
    return _camera_view(
        split, face, variant, rng, matrix, size=size, photometric=photometric, augment=augment
    )


def surrounded_view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    photometric: float,
    augment: SurroundedViews,
) -> dict[str, Any]:
    """Half aligned, half down to the smallest that widening leads to, in other surroundings.

    Where the source shows nothing there are parts of another picture, which are also printed on
    some masks. Before some faces without a mask there are objects, which are none either.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: that all is drawn by.
        size: side of the view in pixels.
        photometric: by what share brightness, contrast and saturation change at most.
        augment: the chances and ranges.
    """
    other = np.asarray(split.image[rng.integers(len(split))])
    masked, mask = (np.asarray(of[face, variant]) for of in (split.masked, split.mask))
    if mask.any() and rng.random() < augment.print.chance:
        motif = random_resized_crop(other, rng, augment.part)
        masked = print_on_mask(masked, mask, motif, rng, augment.print)
    geometry = augment.surrounded if rng.integers(2) else augment.aligned
    matrix, flip = jitter(rng, split.size, geometry), bool(rng.integers(2))
    valid = np.asarray(split.valid[face])
    if rng.random() < augment.bare:
        masked, mask = np.asarray(split.image[face]), np.zeros_like(mask)
        masked = put_in_front(masked, split.landmarks[face], rng, augment.occluders, valid)
    image, mask, landmarks = view(masked, mask, split.landmarks[face], matrix, flip, size)
    valid = valid.astype(np.uint8) * 255
    shown = warp(valid, chained(matrix, resizing(split.size, size)), (size, size), beyond=0)
    shown = shown[:, ::-1] if flip else shown
    around = np.full_like(image, UNSHOWN)
    if rng.random() < augment.surroundings:
        part = random_resized_crop(other, rng, augment.part)
        around = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
    image = np.where(shown[..., None] == 255, image, around)
    return {
        "image": apply_camera(image, rng, augment.camera, photometric),
        "mask": mask,
        "landmarks": landmarks,
        "gender": split.gender(face),
    }


def plain_view(
    split: Split, face: int, variant: int, rng: np.random.Generator, *, size: int
) -> dict[str, Any]:
    """The masked face as it is, for validation.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: not drawn from.
        size: side of the view in pixels.
    """
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
