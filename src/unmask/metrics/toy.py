"""Median absolute difference over a region."""

import numpy as np

from unmask.metrics.inputs import Array, read_pictures


def hole_median(predicted: Array, target: Array, region: Array) -> np.ndarray:
    """Median."""
    predicted, target, region = read_pictures(predicted, target, region)
    return np.array([np.median(abs(p - t)[r]) for p, t, r in zip(predicted, target, region, strict=True)])
