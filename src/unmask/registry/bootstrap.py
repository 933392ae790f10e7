"""Confidence bounds of mean gains, by a paired bootstrap over faces."""

import numpy as np


def lower_bound(gains: np.ndarray, confidence: float, resamples: int) -> float:
    """One-sided lower confidence bound of the mean gain.

    Args:
        gains: (N,) challenger minus champion, face by face; finite.
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(gains), size=(resamples, len(gains)))
    return float(np.quantile(gains[drawn].mean(axis=1), 1 - confidence))


def upper_bounds(
    gains: list[np.ndarray],
    members: list[np.ndarray],
    faces: int,
    confidence: float,
    resamples: int,
) -> np.ndarray:
    """One-sided upper confidence bounds (K,) of the mean gains of K groups of faces.

    All of them hold at once with the confidence asked for, however many and however overlapping
    the groups are: every resample of the eval_set gives the deviations of all groups, in standard
    errors, and the largest of them makes the bounds.

    Args:
        gains: (M,) a group, finite.
        members: (M,) a group, the indices of its faces.
        faces: in all.
    """
    means = np.array([gained.mean() for gained in gains])
    shares = np.zeros((faces, len(gains)))
    for column, (group, gained) in enumerate(zip(members, gains, strict=True)):
        shares[group, column] = (gained - gained.mean()) / len(gained)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(faces, np.full(faces, 1 / faces), size=resamples)
    deviations = drawn @ shares
    errors = deviations.std(axis=0)
    largest = (-deviations / np.where(errors > 0, errors, 1)).max(axis=1)
    return means + np.quantile(largest, confidence) * errors
