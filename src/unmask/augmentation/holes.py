"""Holes in true faces: what the inpainting network is shown."""

from typing import Any

import cv2
import numpy as np

from unmask.augmentation.transforms import change_photo_style, jitter, view
from unmask.config.augment import InpaintingViews, PredictedGender, PredictedMask
from unmask.datasets.cache import Split
from unmask.geometry.morphology import grown

_RIM = 0.02  # of the side, by which the hole of a plain view is larger than its mask
_SHARPEST = 0.9  # source pixels a pixel, from which on a face shows all the detail of its view


def _perturbed_mask(
    mask: np.ndarray, rng: np.random.Generator, errors: PredictedMask
) -> np.ndarray:
    """A mask (S, S) bool off by a little all round or to one side, now and then without straps."""
    side = len(mask)
    if rng.random() < errors.without_straps:
        pixels = round(errors.strap * side)
        mask = grown(grown(mask, -pixels), pixels)
    x, y = (rng.normal(0, errors.shift * side) for _ in range(2))
    moved = np.array([[1, 0, x], [0, 1, y]], np.float32)
    shifted = cv2.warpAffine(
        mask.astype(np.uint8), moved, (side, side), borderMode=cv2.BORDER_REPLICATE
    )
    return grown(shifted.astype(bool), round(side * rng.uniform(*errors.growth)))


def _perturbed_gender(
    gender: np.float32, rng: np.random.Generator, errors: PredictedGender
) -> np.float32:
    """From -1 (female) to 1 (male), less certain, wrong now and then, or NaN where unknown."""
    if rng.random() < errors.unknown:
        return np.float32(np.nan)
    agreement = 1.0 if rng.random() < errors.certain else rng.uniform(*errors.agreement)
    return np.float32((2 * gender - 1) * agreement)


def _resolves(split: Split, face: int, size: int) -> bool:
    """Whether a face shows as much detail as a view of side `size` can."""
    return split.labels[face]["scale"] * split.size / size >= _SHARPEST


def _cut(
    split: Split, face: int, variant: int, matrix: np.ndarray, flip: bool, size: int
) -> dict[str, np.ndarray]:
    """One view of a masked face and the truth.

    Returns:
        `masked`, `mask`, `image`, `shown`, what the source shows, and `clear`, what nothing before
        the mask hides.
    """

    def cut(picture: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = split.landmarks[face]
        return view(np.asarray(picture), np.asarray(where), points, matrix, flip, size)[:2]

    masked, mask = cut(split.masked[face, variant], split.mask[face, variant])
    image, shown = cut(split.image[face], split.valid[face])
    occluded, clear = split.occluded[face, variant], np.ones_like(mask)
    if occluded.any():
        _, clear = cut(split.masked[face, variant], ~occluded)
    return {"masked": masked, "mask": mask, "image": image, "shown": shown, "clear": clear}


def inpainting_view(
    split: Split,
    face: int,
    variant: int,
    rng: np.random.Generator,
    *,
    size: int,
    latent: int,
    augment: InpaintingViews,
) -> dict[str, Any]:
    """A masked face with a hole and a gender as the chain would predict them, and the truth.

    The hole is the mask and all that the picture does not show; what lies before the mask is no
    part of it, and not valid.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: that all is drawn by.
        size: side of the view in pixels.
        latent: numbers in z.
        augment: the chances and ranges.

    Returns:
        `image` and `masked`, (size, size, 3) uint8 RGB; `hole` and `valid`, (size, size) bool;
        `gender`, float32 from -1 (female) to 1 (male) or NaN; `use_posterior`, whether z is to be
        drawn from the truth; `noise` (latent,), standard normal, the chance in that draw.
    """
    matrix = jitter(rng, split.size, augment.geometry)
    flip = bool(rng.integers(2))
    cut = _cut(split, face, variant, matrix, flip, size)
    masked, image = change_photo_style(
        cut["masked"], cut["image"], rng, augment.style, augment.degradation
    )
    return {
        "image": image,
        "masked": masked,
        "hole": _perturbed_mask(cut["mask"], rng, augment.mask) | ~cut["shown"],
        "valid": cut["shown"] & cut["clear"],
        "gender": _perturbed_gender(split.gender(face), rng, augment.gender),
        "use_posterior": rng.random() < augment.posterior,
        "noise": rng.standard_normal(latent, np.float32),
    }


def plain_inpainting_view(
    split: Split, face: int, variant: int, rng: np.random.Generator, *, size: int
) -> dict[str, Any]:
    """The masked face with its exact mask a little grown, and the truth, for validation.

    Args:
        split: the masked faces.
        face: its index.
        variant: the index of its mask.
        rng: not drawn from.
        size: side of the view in pixels.

    Returns:
        As of `inpainting_view`, and `sharp`, whether the face shows as much detail as such a view
        can.
    """
    del rng
    cut = _cut(split, face, variant, np.eye(2, 3), False, size)
    return {
        "image": cut["image"],
        "masked": cut["masked"],
        "hole": grown(cut["mask"], max(1, round(_RIM * size))) | ~cut["shown"],
        "valid": cut["shown"] & cut["clear"],
        "gender": np.float32(2 * split.gender(face) - 1),
        "sharp": np.float32(_resolves(split, face, size)),
    }
