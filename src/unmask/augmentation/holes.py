"""Holes in true faces: what the inpainting network is shown."""

import cv2
import numpy as np

from unmask.augmentation.transforms import jitter, photographed_alike, view
from unmask.datasets.cache import Split
from unmask.geometry.morphology import grown

_FROM_POSTERIOR = 0.5  # share of faces whose z comes from the truth
_DEGRADED = 0.12  # share of faces shown in a photo of little detail
_SHARPEST = 0.9  # source pixels a pixel, from which on a face shows all the detail of its view


def _guessed_mask(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hole with the kind of error that a predicted mask makes: off by a little all round or to
    one side, and in one of five with the straps missed."""
    unit = len(mask) / 100
    if rng.random() < 0.2:
        mask = grown(grown(mask, -round(2 * unit)), round(2 * unit))
    moved = np.float32([[1, 0, rng.normal(0, unit)], [0, 1, rng.normal(0, unit)]])
    shifted = cv2.warpAffine(
        mask.astype(np.uint8), moved, mask.shape[::-1], borderMode=cv2.BORDER_REPLICATE
    )
    return grown(shifted.astype(bool), round(unit * rng.uniform(-0.5, 4.0)))


def _guessed_gender(gender: np.float32, rng: np.random.Generator) -> np.float32:
    """From -1 (female) to 1 (male), less sure or now and then wrong, and in one of ten unknown."""
    if rng.random() < 0.1:
        return np.float32(np.nan)
    sure = 1.0 if rng.random() < 0.6 else rng.uniform(-0.2, 1.0)
    return np.float32((2 * gender - 1) * sure)


def _resolves(split: Split, face: int, size: int) -> bool:
    """Whether a face shows as much detail as a view of side `size` can."""
    return split.labels[face]["scale"] * split.size / size >= _SHARPEST


def _cut(
    split: Split, face: int, variant: int, matrix: np.ndarray, flip: bool, size: int
) -> dict[str, np.ndarray]:
    """One view of a masked face and the truth: `masked`, `mask`, `image`, `shown`, what the source
    shows, and `clear`, what nothing before the mask hides."""

    def seen(picture: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = split.landmarks[face]
        return view(np.asarray(picture), np.asarray(where), points, matrix, flip, size)[:2]

    masked, mask = seen(split.masked[face, variant], split.mask[face, variant])
    image, shown = seen(split.image[face], split.valid[face])
    occluded, clear = split.occluded[face, variant], np.ones_like(mask)
    if occluded.any():
        _, clear = seen(split.masked[face, variant], ~occluded)
    return {"masked": masked, "mask": mask, "image": image, "shown": shown, "clear": clear}


def holed(
    split: Split, face: int, variant: int, rng: np.random.Generator, size: int, latent: int
) -> dict[str, np.ndarray]:
    """A masked face with a hole and a gender as the chain would guess them, and the truth.

    The hole is the mask and all that the picture does not show; what lies before the mask is no
    part of it, and not valid.

    Args:
        size: side of the view in pixels.
        latent: numbers in z.

    Returns:
        Arrays by name; `use_posterior`, whether z is to be drawn from the truth; `noise` (latent,),
        standard normal, the chance in that draw.
    """
    matrix = jitter(rng, split.size, scale=(0.78, 1.08), roll=3, shift=0.03)
    flip = bool(rng.integers(2))
    cut = _cut(split, face, variant, matrix, flip, size)
    masked, image = photographed_alike(cut["masked"], cut["image"], rng, _DEGRADED)
    return {
        "image": image,
        "masked": masked,
        "hole": _guessed_mask(cut["mask"], rng) | ~cut["shown"],
        "valid": cut["shown"] & cut["clear"],
        "gender": _guessed_gender(split.gender(face), rng),
        "use_posterior": rng.random() < _FROM_POSTERIOR,
        "noise": rng.standard_normal(latent, np.float32),
    }


def holed_unchanged(
    split: Split, face: int, variant: int, rng: np.random.Generator, size: int
) -> dict:
    """The masked face with its exact mask a little grown, and the truth, for validation; `sharp`,
    whether it shows as much detail as such a view can."""
    del rng
    cut = _cut(split, face, variant, np.eye(2, 3), False, size)
    return {
        "image": cut["image"],
        "masked": cut["masked"],
        "hole": grown(cut["mask"], max(1, round(0.02 * size))) | ~cut["shown"],
        "valid": cut["shown"] & cut["clear"],
        "gender": np.float32(2 * split.gender(face) - 1),
        "sharp": np.float32(_resolves(split, face, size)),
    }
