from __future__ import annotations

import numpy as np

from unmask.face_model.class_mixture import AGE_BANDS, FaceLabels, fit_mixture
from unmask.face_model.linear_basis import LinearBasis, principal_components


def _low_rank_rows(count=200, length=60, rank=5):
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((count, rank)) * np.arange(rank, 0, -1)
    return 100 + factors @ rng.standard_normal((rank, length))


def test_components_of_low_rank_rows_rebuild_them():
    rows = _low_rank_rows()
    basis = principal_components(rows, 5, np.random.default_rng(1))
    codes = basis.encode(rows)
    rebuilt = np.stack([basis.decode(code) for code in codes])
    np.testing.assert_allclose(rebuilt, rows, atol=0.02)
    assert basis.kept > 0.9999
    np.testing.assert_allclose(codes.std(0), 1, atol=0.01)


def test_weighted_components_still_rebuild():
    rows = _low_rank_rows()
    weight = np.linspace(0.3, 1, rows.shape[1]).astype(np.float32)
    basis = principal_components(rows, 5, np.random.default_rng(1), weight)
    np.testing.assert_allclose(basis.decode(basis.encode(rows)[3]), rows[3], atol=0.02)


def test_storage_keeps_components_within_a_level():
    basis = principal_components(_low_rank_rows(), 5, np.random.default_rng(1))
    again = LinearBasis.of_arrays("b", basis.arrays("b"))
    step = np.abs(basis.components).max(1, keepdims=True) / 40
    assert (np.abs(again.components - basis.components) <= 0.51 * step).all()


def test_ages_fall_in_bands():
    assert FaceLabels.of("male", 1, None).band == 0
    assert FaceLabels.of("male", 29, None).band == 2
    assert FaceLabels.of("male", 100, None).band == len(AGE_BANDS) - 1


def test_partly_labelled_codes_join_the_class_they_resemble():
    rng = np.random.default_rng(0)
    young, old = FaceLabels("male", "a", 0), FaceLabels("male", "a", 5)
    unknown = FaceLabels("male", None, None)
    codes = np.concatenate([rng.normal(-4, 1, (80, 3)), rng.normal(4, 1, (160, 3))])
    labels = [young] * 40 + [unknown] * 40 + [old] * 40 + [unknown] * 120
    mixture = fit_mixture(codes.astype(np.float32), labels, codes, rng)
    share = dict(zip(mixture.classes, mixture.share, strict=True))
    assert abs(share[young] - 1 / 3) < 0.02
    means = dict(zip(mixture.classes, mixture.means, strict=True))
    assert means[young].max() < -2
    assert means[old].min() > 2.5
