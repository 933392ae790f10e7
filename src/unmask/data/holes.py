"""Holes in true faces: what the inpainting network is shown."""

import cv2
import numpy as np

from unmask.data.augment import jitter, view
from unmask.data.cache import Split
from unmask.data.morphology import grown
from unmask.faces.landmarks import BROWS, EYES, JAW, MOUTH, NOSE

_TOLD = 0.25  # share of faces whose z comes from the truth
_SCATTER = 0.35
#: Standard deviations in x and y of a part's shift and of its stretch, as the landmark network of
#: profile cpu-full made them on val faces; these and the scatter in hundredths of the side.
_PART_ERRORS = (
    (JAW, (0.45, 0.9), (0.8, 0.9)),
    (BROWS, (0.45, 0.9), (0.6, 0.45)),
    (NOSE, (0.55, 1.05), (0.3, 0.4)),
    (EYES, (0.35, 0.5), (0.3, 0.25)),
    (MOUTH, (0.75, 1.5), (0.85, 1.05)),
)


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


def _guessed_landmarks(landmarks: np.ndarray, size: int, rng: np.random.Generator, noise: float):
    """True landmarks with the kind of error a landmark network makes on masked faces: small for
    what is seen, large for what is hidden, and alike within each part of the face."""
    unit = noise * size / 100
    guessed = landmarks + rng.normal(0, _SCATTER * unit, landmarks.shape)
    for part, shift, stretch in _PART_ERRORS:
        points = landmarks[part]
        away = points - points.mean(axis=0)
        stretched = away / away.std(axis=0) * rng.normal(0, stretch) * unit
        guessed[part] += stretched + rng.normal(0, shift) * unit
    return guessed.astype(np.float32)


def _guessed_gender(gender: np.float32, rng: np.random.Generator) -> np.float32:
    """From -1 (female) to 1 (male), less sure or now and then wrong, and in one of ten unknown."""
    if rng.random() < 0.1:
        return np.float32(np.nan)
    sure = 1.0 if rng.random() < 0.6 else rng.uniform(-0.2, 1.0)
    return np.float32((2 * gender - 1) * sure)


def holed(
    split: Split, face: int, variant: int, rng: np.random.Generator, noise: float, latent: int
) -> dict:
    """A masked face with a hole, landmarks and gender as the chain would guess them, and the truth.

    The hole is the mask and all that the picture does not show.

    Args:
        noise: of the landmarks, in multiples of what is usual.
        latent: numbers in z.

    Returns:
        Arrays by name; `told`, whether z is to be drawn from the truth, and `drawn` (latent,),
        standard normal, the chance in that draw.
    """
    size = split.size
    matrix = jitter(rng, size, scale=(0.78, 1.08), roll=3, shift=0.03)
    flip = bool(rng.integers(2))
    masked, mask, landmarks = view(
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
        "landmarks": _guessed_landmarks(landmarks, size, rng, noise),
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
        "landmarks": split.landmarks[face],
        "valid": valid,
        "gender": np.float32(2 * split.gender(face) - 1),
        "sharp": np.float32(1),
    }
