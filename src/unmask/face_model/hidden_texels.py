"""Fills in what photos do not show of heads, so that tight and wide crops train one model.

What a photo hides is drawn given what it shows, from the probabilistic PCA of the faces that show
more (Tipping & Bishop 1999). Heads with little hidden get Gaussian draws. Tight crops borrow from
a like head seen whole, corrected by the conditional mean of the difference (Matheron's rule), which
keeps hair that a Gaussian would blur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.ndimage import distance_transform_edt

from unmask.face_model.linear_basis import LinearBasis
from unmask.face_model.texture_space import TextureSpace

_COARSE_NOISE = 6.0
_BLOCK = 512
_DONORS_TRIED = 80
_RARE = 0.03


def fill_with_mean(
    textures: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    rows: NDArray[np.intp],
    space: TextureSpace,
) -> None:
    """Give hidden values of the rows the mean of the rows that show them, in place.

    A value that hardly any row shows gets the mean of the nearest one that more rows show.
    """
    total = np.zeros(textures.shape[1])
    count = np.zeros(textures.shape[1])
    for row in rows:
        total += textures[row] * visible[row]
        count += visible[row]
    mean = total / np.maximum(count, 1)
    for plane in space.planes():
        seen = count[plane].reshape(int(np.sqrt(plane.stop - plane.start)), -1)
        rare = seen < max(1.0, _RARE * len(rows))
        nearest = distance_transform_edt(rare, return_distances=False, return_indices=True)
        mean[plane] = mean[plane].reshape(seen.shape)[tuple(nearest)].ravel()
        visible[:, plane] &= ~rare.ravel()
    for row in rows:
        textures[row] = np.where(visible[row], textures[row], mean.astype(np.uint8))


def fill_by_draw(
    textures: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    rows: NDArray[np.intp],
    basis: LinearBasis,
    space: TextureSpace,
    rng: np.random.Generator,
) -> None:
    """Draw hidden values of the rows from the basis, in place."""
    condition = _Conditional(basis, space)
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        known = visible[block]
        noise = rng.standard_normal((len(block), len(basis.spread)), np.float32)
        offset = space.coarse(textures[block]) - condition.mean
        guess = basis.mean + condition.codes(offset, known, noise) @ condition.components
        _replace(textures, block, known, guess)


def fill_from_donors(
    textures: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    rows: NDArray[np.intp],
    donors: NDArray[np.intp],
    groups: NDArray[np.int64],
    basis: LinearBasis,
    space: TextureSpace,
    rng: np.random.Generator,
) -> None:
    """Fill hidden values of the rows from like donors (whole rows) of the same group, in place."""
    condition = _Conditional(basis, space)
    pools = {group: donors[groups[donors] == group] for group in np.unique(groups[rows])}
    coarse = {
        int(row): value for row, value in zip(donors, space.coarse(textures[donors]), strict=True)
    }
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        known = visible[block]
        seen = space.coarse(known) > 0.99
        wanted = space.coarse(textures[block])
        chosen = []
        for row, mask, want in zip(block, seen, wanted, strict=True):
            pool = pools[groups[row]]
            tried = rng.choice(pool if len(pool) else donors, _DONORS_TRIED)
            far = [np.square((coarse[int(one)] - want)[mask]).sum() for one in tried]
            chosen.append(int(tried[int(np.argmin(far))]))
        offset = wanted - np.stack([coarse[one] for one in chosen])
        still = np.zeros((len(block), len(basis.spread)), np.float32)
        change = condition.codes(offset, known, still) @ condition.components
        _replace(textures, block, known, textures[chosen] + change)


class _Conditional:
    """Codes given block means of the visible values."""

    def __init__(self, basis: LinearBasis, space: TextureSpace) -> None:
        self._space = space
        self.components = basis.components * basis.spread[:, None]
        self.mean = space.coarse(basis.mean[None])[0]
        self._directions = space.coarse(self.components) / _COARSE_NOISE

    def codes(
        self, offset: NDArray[np.float32], known: NDArray[np.bool_], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Posterior draws (n, k) with standard normal `noise`, or means where that is zero."""
        prior = np.eye(len(self._directions), dtype=np.float32)
        seen = self._space.coarse(known) > 0.99
        codes = np.empty_like(noise)
        for row, mask in enumerate(seen):
            shown = self._directions[:, mask]
            root = np.linalg.cholesky(prior + shown @ shown.T)
            half = solve_triangular(root, shown @ (offset[row, mask] / _COARSE_NOISE), lower=True)
            codes[row] = solve_triangular(root, half + noise[row], lower=True, trans=1)
        return codes


def _replace(
    textures: NDArray[np.uint8], rows: NDArray, known: NDArray[np.bool_], guess: NDArray
) -> None:
    textures[rows] = np.where(known, textures[rows], np.clip(guess, 0, 255).astype(np.uint8))
