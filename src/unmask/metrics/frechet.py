"""Frechet distance between two sets of image features, each taken as a Gaussian."""

import numpy as np
from numpy.typing import NDArray

from unmask.metrics.inputs import Array, to_numpy


def frechet_distance(predicted: Array, true: Array) -> float:
    """Return the squared Frechet distance between the Gaussians of two feature sets.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), with the sample means m and the unbiased
    sample covariances S. Source: Heusel et al., "GANs trained by a two time-scale update rule",
    NeurIPS 2017.

    The last trace is computed without a matrix root. With S1 = A'A and S2 = B'B for the scaled,
    centred features A and B, the eigenvalues of S1 S2 that are not 0 are the squared singular
    values of A B', so the trace is the sum of those singular values. A and B are replaced by their
    triangular factors, of at most D rows. The result is real, and exact up to rounding, also
    where there are fewer features than dimensions; nothing is added to the covariances.

    The estimate grows as the sets shrink: compare sets of equal size only, and report the size.

    Args:
        predicted: features of the restored pictures, shape (N, D).
        true: features of the true pictures, shape (M, D).

    Returns:
        The squared distance, 0 or more, in squared feature units.

    Raises:
        ValueError: if a shape is wrong, a set has fewer than two features, or a value is not
            finite.
    """
    predicted, true = (to_numpy(f).astype(np.float64) for f in (predicted, true))
    if predicted.ndim != 2 or true.ndim != 2 or predicted.shape[1] != true.shape[1]:
        raise ValueError(
            f"features must have shapes (N, D) and (M, D), not {predicted.shape} and {true.shape}"
        )
    if min(len(predicted), len(true)) < 2:
        raise ValueError("each set needs at least two features to have a covariance")
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("features must be finite")
    shift = predicted.mean(axis=0) - true.mean(axis=0)
    a, b = _covariance_factor(predicted), _covariance_factor(true)
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float((shift**2).sum() + (a**2).sum() + (b**2).sum() - 2 * cross))


def _covariance_factor(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triangular R of at most D rows; R'R is the covariance of features (N, D)."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    # numpy's type stubs declare no mode "r", which returns an array
    return np.asarray(np.linalg.qr(centred, mode="r"))
