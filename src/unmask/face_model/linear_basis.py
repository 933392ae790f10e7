"""Principal components by randomised subspace iteration, and their compact storage.

Halko, Martinsson & Tropp, "Finding structure with randomness", SIAM Review 2011.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1024
_OVERSAMPLE = 24
_LEVELS = 40


@dataclass(frozen=True)
class LinearBasis:
    """Principal components: a row is `mean + (code * spread) @ components`.

    Attributes:
        mean: (d,).
        components: (k, d), orthonormal once multiplied by `weight`.
        spread: (k,) standard deviations along the components; codes have unit variance.
        kept: share of the weighted variance that the components explain, 0 to 1.
        weight: (d,) how much each value counts.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    spread: NDArray[np.float32]
    kept: float
    weight: NDArray[np.float32]

    def encode(self, rows: NDArray) -> NDArray[np.float32]:
        """Codes (n, k) of rows (n, d) of any real type."""
        dual = (self.components * (self.weight**2 / self.spread[:, None])).T
        return np.concatenate(
            [(rows[at : at + _BLOCK] - self.mean) @ dual for at in range(0, len(rows), _BLOCK)]
        )

    def decode(self, code: NDArray[np.float32]) -> np.ndarray:
        """The row (d,) float32 that a code (k,) stands for."""
        return self.mean + (code * self.spread) @ self.components

    def arrays(self, name: str) -> dict[str, NDArray]:
        """Arrays to store, keys prefixed with `name`; components as int8 with a scale each."""
        scale = np.abs(self.components).max(1) / _LEVELS
        return {
            f"{name}_mean": self.mean.astype(np.float16),
            f"{name}_components": np.rint(self.components / scale[:, None]).astype(np.int8),
            f"{name}_scale": scale.astype(np.float32),
            f"{name}_spread": self.spread,
            f"{name}_weight": self.weight.astype(np.float16),
            f"{name}_kept": np.float32(self.kept),
        }

    @classmethod
    def of_arrays(cls, name: str, arrays: dict[str, NDArray]) -> LinearBasis:
        """Rebuild a basis from the arrays that `arrays` returned under the same name."""
        components = arrays[f"{name}_components"].astype(np.float32)
        components *= arrays[f"{name}_scale"][:, None]
        return cls(
            mean=arrays[f"{name}_mean"].astype(np.float32),
            components=components,
            spread=arrays[f"{name}_spread"],
            kept=float(arrays[f"{name}_kept"]),
            weight=arrays[f"{name}_weight"].astype(np.float32),
        )


def principal_components(
    rows: NDArray,
    count: int,
    rng: np.random.Generator,
    weight: NDArray[np.float32] | None = None,
    passes: int = 3,
) -> LinearBasis:
    """The first principal components of a data matrix.

    The rows are read in blocks, so that uint8 rows of a large data set are never all held as
    floats.

    Args:
        rows: (n, d) of any real type.
        count: number of components, at most n - 1 and d.
        rng: for the random start of the subspace.
        weight: (d,) how much each value counts; None for all alike.
        passes: iterations of the subspace over all rows.
    """
    size, length = rows.shape
    weight = np.ones(length, np.float32) if weight is None else weight.astype(np.float32)
    mean = rows.mean(0, dtype=np.float64).astype(np.float32)
    count = min(count, size - 1, length)
    width = min(count + _OVERSAMPLE, size, length)

    def centred(at: int) -> NDArray[np.float32]:
        """One block of rows, centred and weighted."""
        return (rows[at : at + _BLOCK] - mean) * weight

    span = rng.standard_normal((length, width)).astype(np.float32)
    for _ in range(passes):
        span = np.linalg.qr(span)[0]
        image = np.zeros((length, width), np.float32)
        gram, total = np.zeros((width, width)), 0.0
        for at in range(0, size, _BLOCK):
            block = centred(at)
            code = block @ span
            image += block.T @ code
            gram += code.T.astype(np.float64) @ code
            total += float(np.einsum("ij,ij->", block, block, dtype=np.float64))
        last, span = span, image
    values, vectors = np.linalg.eigh(gram)
    order = np.argsort(values)[::-1][:count]
    values = np.maximum(values[order], 1e-12)
    directions = (last @ vectors[:, order].astype(np.float32)).T
    return LinearBasis(
        mean=mean,
        components=np.ascontiguousarray(directions / weight),
        spread=np.sqrt(values / max(size - 1, 1)).astype(np.float32),
        kept=float(values.sum() / max(total, 1e-12)),
        weight=weight,
    )
