"""Near-duplicates: one photo, cropped or compressed differently, must not be in two splits.

The hash is `imagehash.phash`, 64 bits of the low frequencies of the framed face's luma (Zauner,
"Implementation and benchmarking of perceptual image hash functions", 2010).
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

import imagehash
import numpy as np
from PIL import Image

from unmask.datasets.splits import SPLITS

_LARGEST_DISTANCE = 4  # bits
_MIDDLE = (0.25, 0.85), (0.2, 0.8)  # rows and columns, in sides of the frame
#: Five groups of bits: two hashes at most 4 bits apart agree in all bits of at least one group.
_BANDS = np.array_split(np.arange(64, dtype=np.uint64), _LARGEST_DISTANCE + 1)


def picture_hash(image: np.ndarray) -> int:
    """Perceptual hash, 64 bits, of a framed face (S, S, 3) uint8; near-duplicates differ in few.

    Only the middle of the face is hashed, which every source shows: padding would make tight crops
    look alike.
    """
    size = len(image)
    rows, columns = (slice(round(a * size), round(b * size)) for a, b in _MIDDLE)
    return int(str(imagehash.phash(Image.fromarray(image[rows, columns]))), 16)


def near_duplicates(value: int, others: np.ndarray) -> np.ndarray:
    """Indices (M,) of the hashes (N,) uint64 that are near-duplicates of a hash."""
    return np.flatnonzero(np.bitwise_count(others ^ np.uint64(value)) <= _LARGEST_DISTANCE)


def _candidates(hashes: Sequence[int], splits: Sequence[str]) -> set[tuple[int, int]]:
    """Pairs of indices in different splits whose hashes agree in one of the bands."""
    pairs: set[tuple[int, int]] = set()
    for band in _BANDS:
        mask = sum(1 << int(bit) for bit in band)
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, value in enumerate(hashes):
            buckets[value & mask].append(index)
        for members in buckets.values():
            across = (p for p in combinations(members, 2) if splits[p[0]] != splits[p[1]])
            pairs.update(across)
    return pairs


def cross_split_duplicates(hashes: Sequence[int], splits: Sequence[str]) -> dict[int, int]:
    """Which pictures to leave out so that no near-duplicates are in different splits.

    Of two, the one in the split with fewer restrictions on its use is left out: holdout is kept
    before test, gate, val and train.

    Args:
        hashes: 64 bits of each picture, by `picture_hash`.
        splits: the split of each picture.

    Returns:
        Index of each picture to leave out, to the index of the one that it repeats.
    """
    rank = {name: number for number, name in enumerate(SPLITS)}
    out: dict[int, int] = {}
    for a, b in sorted(_candidates(hashes, splits)):
        if (hashes[a] ^ hashes[b]).bit_count() <= _LARGEST_DISTANCE:
            kept, repeated = sorted((a, b), key=lambda index: rank[splits[index]])
            out.setdefault(repeated, kept)
    return out
