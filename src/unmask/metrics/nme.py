"""Error of 68 facial landmarks, relative to the distance between the outer eye corners."""

import numpy as np

from unmask.geometry.landmarks import OUTER_EYE_CORNERS
from unmask.metrics.inputs import Array, to_numpy


def nme(predicted: Array, true: Array) -> np.ndarray:
    """Return the normalised mean error of each face.

    The mean Euclidean distance over the 68 landmarks, divided by the true inter-ocular distance
    (between landmarks 36 and 45). Source: Sagonas et al., "300 Faces in-the-Wild Challenge", 2013.

    Args:
        predicted: landmarks in the iBUG order counted from 0, shape (N, 68, 2), in pixels.
        true: landmarks in the same order and unit, shape (N, 68, 2).

    Returns:
        float64 (N,), 0 or more, without unit; 0.05 is 5 % of the inter-ocular distance.

    Raises:
        ValueError: if a shape is wrong, a coordinate is not finite, or the true outer eye
            corners of a face coincide.
    """
    predicted, true = (to_numpy(points).astype(np.float64) for points in (predicted, true))
    if true.ndim != 3 or true.shape[1:] != (68, 2) or predicted.shape != true.shape:
        raise ValueError(
            f"landmarks must both have shape (N, 68, 2), not {predicted.shape} and {true.shape}"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("landmarks must be finite")
    right, left = OUTER_EYE_CORNERS
    inter_ocular = np.linalg.norm(true[:, right] - true[:, left], axis=-1)
    if (inter_ocular == 0).any():
        raise ValueError(
            "the true outer eye corners coincide in the faces "
            f"{np.flatnonzero(inter_ocular == 0).tolist()}"
        )
    return np.linalg.norm(predicted - true, axis=-1).mean(axis=-1) / inter_ocular


def failure_rate(errors: Array, threshold: float = 0.08) -> float:
    """Return the share of faces whose normalised mean error exceeds the threshold.

    Args:
        errors: normalised mean errors, shape (N,), 0 or more.
        threshold: the largest error that is not a failure.

    Returns:
        The share, 0..1.

    Raises:
        ValueError: if there are no errors or one is not a number.
    """
    errors = to_numpy(errors)
    if errors.size == 0:
        raise ValueError("the failure rate of no faces is undefined")
    if np.isnan(errors).any():
        raise ValueError("errors must be numbers, not NaN")
    return float((errors > threshold).mean())
