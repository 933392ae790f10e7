"""Whether two pictures show the same person, from embeddings of their faces."""

import numpy as np

from unmask.metrics.inputs import Array, to_numpy

SAME_PERSON = 0.6  # King 2017: dlib's embeddings of one person are closer than this


def identity_distance(predicted: Array, true: Array) -> np.ndarray:
    """Return the Euclidean distance between the embeddings of each face.

    Args:
        predicted: embeddings of the restored faces, shape (N, D).
        true: embeddings of the same true faces, shape (N, D).

    Returns:
        float64 (N,), 0 or more.

    Raises:
        ValueError: if the shapes differ or a value is not finite.
    """
    predicted, true = (to_numpy(e).astype(np.float64) for e in (predicted, true))
    if predicted.ndim != 2 or predicted.shape != true.shape:
        raise ValueError(
            f"embeddings must have one shape (N, D), not {predicted.shape} and {true.shape}"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(true).all()):
        raise ValueError("embeddings must be finite")
    return np.linalg.norm(predicted - true, axis=1)


def same_person_share(distance: Array) -> float:
    """Return the share, 0..1, of identity distances (N,) below 0.6."""
    return float((to_numpy(distance) < SAME_PERSON).mean())
