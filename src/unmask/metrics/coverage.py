"""How closely the region that a restoration replaces covers the mask."""

import numpy as np

from unmask.metrics.inputs import Array, read_mask_pair


def replaced_beyond(replaced: Array, true: Array) -> np.ndarray:
    """Return the area that was replaced outside each true mask, as a share of that mask's area.

    Args:
        replaced: bool (N, H, W), the region that a restoration replaced.
        true: bool (N, H, W), the masks.

    Returns:
        float64 (N,), 0 or more.

    Raises:
        ValueError: if an array is not boolean, the shapes differ or a true mask is empty.
    """
    replaced, true = _read(replaced, true)
    return (replaced & ~true).sum(axis=(1, 2)) / true.sum(axis=(1, 2))


def mask_missed(replaced: Array, true: Array) -> np.ndarray:
    """Return the share of each true mask that was not replaced.

    Args:
        replaced: bool (N, H, W), the region that a restoration replaced.
        true: bool (N, H, W), the masks.

    Returns:
        float64 (N,), 0..1.

    Raises:
        ValueError: if an array is not boolean, the shapes differ or a true mask is empty.
    """
    replaced, true = _read(replaced, true)
    return (true & ~replaced).sum(axis=(1, 2)) / true.sum(axis=(1, 2))


def _read(replaced: Array, true: Array) -> tuple[np.ndarray, np.ndarray]:
    replaced, true = read_mask_pair(replaced, true)
    if not true.any(axis=(1, 2)).all():
        raise ValueError("a true mask is empty: a share of it is undefined")
    return replaced, true
