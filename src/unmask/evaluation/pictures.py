"""Before/after sheets of the whole chain."""

import numpy as np

from unmask.evaluation.measure import Measured
from unmask.evaluation.shard import Shard


def _column(pictures: list[np.ndarray]) -> np.ndarray:
    padded = [np.pad(p, ((0, 2), (0, 2), (0, 0)), constant_values=255) for p in pictures]
    return np.concatenate(padded, axis=0)


def before_after(
    shard: Shard, chain: Measured, others: dict[str, np.ndarray], order: np.ndarray
) -> np.ndarray:
    """A sheet whose columns show, from top to bottom, masked, restored, other fills, true face.

    Args:
        others: further fills (N, S, S, 3) uint8 by name.
        order: indices of the faces to show.
    """
    columns = [
        _column(
            [shard.masked[i], chain.pictures[i], *(o[i] for o in others.values()), shard.images[i]]
        )
        for i in order
    ]
    return np.concatenate(columns, axis=1)
