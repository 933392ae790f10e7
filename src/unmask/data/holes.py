"""Holes in true faces: what the inpainting network is shown."""

import cv2
import numpy as np

from unmask.data.augment import jitter, view
from unmask.data.cache import Split
from unmask.data.morphology import grown

_TOLD = 0.25  # share of faces whose z comes from the truth


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


def holed(
    split: Split, face: int, variant: int, rng: np.random.Generator, latent: int
) -> dict[str, np.ndarray]:
    """A masked face with a hole and a gender as the chain would guess them, and the truth.

    The hole is the mask and all that the picture does not show.

    Args:
        latent: numbers in z.

    Returns:
        Arrays by name; `told`, whether z is to be drawn from the truth, and `drawn` (latent,),
        standard normal, the chance in that draw.
    """
    size = split.size
    matrix = jitter(rng, size, scale=(0.78, 1.08), roll=3, shift=0.03)
    flip = bool(rng.integers(2))
    masked, mask, _ = view(
        np.asarray(split.masked[face, variant]),
        np.asarray(split.mask[face, variant]),
        split.landmarks[face],
        matrix,
        flip,
    )
    image, valid, _ = view(
        np.asarray(split.image[face]),
        np.asarray(split.valid[face]),
        split.landmarks[face],
        matrix,
        flip,
    )
    return {
        "image": image,
        "masked": masked,
        "hole": _guessed_mask(mask, rng) | ~valid,
        "valid": valid,
        "gender": _guessed_gender(split.gender(face), rng),
        "sharp": np.float32(split.labels[face]["scale"] >= 0.9),
        "told": rng.random() < _TOLD,
        "drawn": rng.standard_normal(latent, np.float32),
    }


def holed_unchanged(split: Split, face: int, variant: int, rng: np.random.Generator) -> dict:
    """The masked face with its exact mask a little grown, and the truth, for validation."""
    del rng
    size, valid = split.size, np.asarray(split.valid[face])
    return {
        "image": np.asarray(split.image[face]),
        "masked": np.asarray(split.masked[face, variant]),
        "hole": grown(np.asarray(split.mask[face, variant]), max(1, round(0.02 * size))) | ~valid,
        "valid": valid,
        "gender": np.float32(2 * split.gender(face) - 1),
        "sharp": np.float32(1),
    }
