"""Confidence bounds of mean gains, by a paired bootstrap over faces."""

import numpy as np


def lower_bound(gains: np.ndarray, confidence: float, resamples: int) -> float:
    """One-sided lower confidence bound of the mean gain.

    Args:
        gains: (N,) challenger minus champion, per face; finite.
        confidence: that the true mean lies above the bound, in (0, 1).
        resamples: number of bootstrap resamples, at least 1.

    Returns:
        The bound, in the unit of the gains.
    """
    rng = np.random.default_rng(0)
    resampled = rng.integers(len(gains), size=(resamples, len(gains)))
    return float(np.quantile(gains[resampled].mean(axis=1), 1 - confidence))


def upper_bounds(
    gains: list[np.ndarray],
    members: list[np.ndarray],
    faces: int,
    confidence: float,
    resamples: int,
) -> np.ndarray:
    """One-sided simultaneous upper confidence bounds of the mean gains of K groups of faces.

    All bounds hold at once with the wanted confidence, however many groups there are and however
    they overlap: each resample of the faces gives the deviation of every group in standard errors,
    and the largest of them sets the bounds.

    Args:
        gains: per group, (M,) the gains of its faces; finite.
        members: per group, (M,) the indices of its faces, in 0..faces-1.
        faces: number of faces in all groups together, which one resample draws.
        confidence: that every true mean lies below its bound, in (0, 1).
        resamples: number of bootstrap resamples, at least 1.

    Returns:
        (K,) the bounds, in the unit of the gains.
    """
    means = np.array([of_group.mean() for of_group in gains])
    shares = np.zeros((faces, len(gains)))
    for column, (group, of_group) in enumerate(zip(members, gains, strict=True)):
        shares[group, column] = (of_group - of_group.mean()) / len(of_group)
    rng = np.random.default_rng(0)
    counts = rng.multinomial(faces, np.full(faces, 1 / faces), size=resamples)
    deviations = counts @ shares
    errors = deviations.std(axis=0)
    largest = (-deviations / np.where(errors > 0, errors, 1)).max(axis=1)
    return means + np.quantile(largest, confidence) * errors
