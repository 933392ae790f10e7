"""Holes in true faces: what the inpainting network is shown."""

import cv2
import numpy as np

from unmask.data.augment import jitter, view
from unmask.data.cache import Split


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    morph = cv2.dilate if pixels > 0 else cv2.erode
    return morph(mask.astype(np.uint8), kernel).astype(bool)


def _guessed_landmarks(landmarks: np.ndarray, size: int, rng: np.random.Generator, noise: float):
    """True landmarks with the kind of error a landmark network makes: shift, scale and scatter."""
    unit = noise * size / 100
    centre = landmarks.mean(axis=0)
    moved = (landmarks - centre) * (1 + rng.normal(0, 0.01 * noise, 2)) + centre
    return (moved + rng.normal(0, unit, 2) + rng.normal(0, 0.5 * unit, (68, 2))).astype(np.float32)


def holed(split: Split, face: int, variant: int, rng: np.random.Generator, noise: float) -> dict:
    """A true face with a hole as a predicted mask would cut it, and guessed landmarks.

    The hole is the mask grown by 1 to 4 hundredths of the side; gender is -1, 1 or NaN, and one
    in ten is hidden, so that 'unknown' is learned.
    """
    size = split.size
    matrix = jitter(rng, size, scale=(0.92, 1.08), roll=3, shift=0.03)
    flip = bool(rng.integers(2))
    image, hole, landmarks = view(
        np.asarray(split.image[face]),
        _grown(np.asarray(split.mask[face, variant]), round(size * rng.uniform(0.01, 0.04))),
        split.landmarks[face],
        matrix,
        flip,
    )
    valid = cv2.warpAffine(
        split.valid[face].astype(np.uint8), matrix, (size, size), borderMode=cv2.BORDER_CONSTANT
    ).astype(bool)
    gender = 2 * split.gender(face) - 1
    return {
        "image": image,
        "hole": hole,
        "landmarks": _guessed_landmarks(landmarks, size, rng, noise),
        "valid": valid[:, ::-1].copy() if flip else valid,
        "gender": np.float32(np.nan) if rng.random() < 0.1 else gender,
        "sharp": np.float32(split.labels[face]["scale"] >= 0.9),
    }


def holed_unchanged(split: Split, face: int, variant: int, rng: np.random.Generator) -> dict:
    """The true face with its exact mask a little grown, for validation."""
    del rng
    size = split.size
    return {
        "image": np.asarray(split.image[face]),
        "hole": _grown(np.asarray(split.mask[face, variant]), max(1, round(0.02 * size))),
        "landmarks": split.landmarks[face],
        "valid": np.asarray(split.valid[face]),
        "gender": np.float32(2 * split.gender(face) - 1),
        "sharp": np.float32(1),
    }
