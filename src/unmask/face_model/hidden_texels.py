"""Fills in the hidden parts of heads, so that tight and wide crops fit one model.

Hidden values are sampled conditionally on the visible ones, from the probabilistic PCA of the faces
that show more (Tipping & Bishop 1999). Heads with little hidden get Gaussian samples. Tight crops
are filled from a similar head in a wide crop, corrected by the conditional mean of the difference
(Matheron's rule), which keeps hair that a Gaussian would blur.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.ndimage import distance_transform_edt

from unmask.face_model.linear_basis import LinearBasis
from unmask.face_model.texture_space import TextureSpace

_COARSE_NOISE = 6.0  # standard deviation of block means about the model, in grey levels
_BLOCK = 512  # rows at a time
_DONORS_TRIED = 80
_RARE = 0.03  # share of the rows that must show a value for its mean to be used


def fill_with_mean(
    textures: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    rows: NDArray[np.intp],
    space: TextureSpace,
) -> None:
    """Replace hidden values of some rows by the mean of those of them that show it, in place.

    A value that hardly any row shows gets the mean of the nearest one that more rows show, and is
    marked as hidden in all rows.

    Args:
        textures: (n, length) vectors of `space`; the rows are filled.
        visible: (n, length), which values are known.
        rows: (m,) indices of the rows to fill.
        space: how the vectors are packed.
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


def fill_by_sampling(
    textures: NDArray[np.uint8],
    visible: NDArray[np.bool_],
    rows: NDArray[np.intp],
    basis: LinearBasis,
    space: TextureSpace,
    rng: np.random.Generator,
) -> None:
    """Sample hidden values of some rows from the basis, given the visible ones, in place.

    Args:
        textures: (n, length) vectors of `space`; the rows are filled.
        visible: (n, length), which values are known.
        rows: (m,) indices of the rows to fill.
        basis: principal components of the textures.
        space: how the vectors are packed.
        rng: for the samples.
    """
    posterior = _Posterior(basis, space)
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        known = visible[block]
        noise = rng.standard_normal((len(block), len(basis.spread)), np.float32)
        offset = space.coarse(textures[block]) - posterior.mean
        sampled = basis.mean + posterior.codes(offset, known, noise) @ posterior.components
        _replace_hidden(textures, block, known, sampled)


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
    """Fill hidden values of some rows from similar rows that show everything, in place.

    Args:
        textures: (n, length) vectors of `space`; the rows are filled.
        visible: (n, length), which values are known.
        rows: (m,) indices of the rows to fill.
        donors: indices of rows without hidden values.
        groups: (n,) group of each row; a donor is of the same group where there is one.
        basis: principal components of the textures.
        space: how the vectors are packed.
        rng: for which donors are tried.
    """
    posterior = _Posterior(basis, space)
    pools = {group: donors[groups[donors] == group] for group in np.unique(groups[rows])}
    coarse = {
        int(row): value for row, value in zip(donors, space.coarse(textures[donors]), strict=True)
    }
    for at in range(0, len(rows), _BLOCK):
        block = rows[at : at + _BLOCK]
        known = visible[block]
        comparable = space.coarse(known) > 0.99
        own = space.coarse(textures[block])
        chosen = []
        for row, mask, values in zip(block, comparable, own, strict=True):
            pool = pools[groups[row]]
            tried = rng.choice(pool if len(pool) else donors, _DONORS_TRIED)
            distances = [np.square((coarse[int(donor)] - values)[mask]).sum() for donor in tried]
            chosen.append(int(tried[int(np.argmin(distances))]))
        offset = own - np.stack([coarse[donor] for donor in chosen])
        no_noise = np.zeros((len(block), len(basis.spread)), np.float32)
        correction = posterior.codes(offset, known, no_noise) @ posterior.components
        _replace_hidden(textures, block, known, textures[chosen] + correction)


class _Posterior:
    """The distribution of codes, given the block means of the visible values."""

    def __init__(self, basis: LinearBasis, space: TextureSpace) -> None:
        self._space = space
        self.components = basis.components * basis.spread[:, None]
        self.mean = space.coarse(basis.mean[None])[0]
        self._directions = space.coarse(self.components) / _COARSE_NOISE

    def codes(
        self, offset: NDArray[np.float32], known: NDArray[np.bool_], noise: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Samples of codes (n, k); the posterior means where the noise is zero.

        Args:
            offset: (n, m) block means less those of the mean texture.
            known: (n, length), which values are visible.
            noise: (n, k), standard normal or zero.
        """
        prior = np.eye(len(self._directions), dtype=np.float32)
        visible = self._space.coarse(known) > 0.99
        codes = np.empty_like(noise)
        for row, mask in enumerate(visible):
            shown = self._directions[:, mask]
            root = np.linalg.cholesky(prior + shown @ shown.T)
            half = solve_triangular(root, shown @ (offset[row, mask] / _COARSE_NOISE), lower=True)
            codes[row] = solve_triangular(root, half + noise[row], lower=True, trans=1)
        return codes


def _replace_hidden(
    textures: NDArray[np.uint8], rows: NDArray, known: NDArray[np.bool_], values: NDArray
) -> None:
    textures[rows] = np.where(known, textures[rows], np.clip(values, 0, 255).astype(np.uint8))
