import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torchmetrics.image.fid import FrechetInceptionDistance

from unmask.metrics.frechet import frechet_distance


class Features(torch.nn.Module):
    """Takes the features themselves as its images."""

    def __init__(self, dimensions):
        super().__init__()
        self.num_features = dimensions

    def forward(self, features):
        return features


def samples(n, m, d, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(2, d, d))
    return rng.normal(size=(n, d)) @ mixing[0], rng.normal(size=(m, d)) @ mixing[1] + 0.5


def by_torchmetrics(a, b):
    metric = FrechetInceptionDistance(feature=Features(a.shape[1])).set_dtype(torch.float64)
    metric.update(torch.tensor(a), real=True)
    metric.update(torch.tensor(b), real=False)
    return float(metric.compute())


def by_scipy(a, b):
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(s @ t).real
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 300, 16), (500, 100, 32), (40, 40, 2)])
def test_agrees_with_libraries(n, m, d):
    a, b = samples(n, m, d)
    assert frechet_distance(a, b) == pytest.approx(by_torchmetrics(a, b), rel=1e-6)
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-6)
    assert frechet_distance(torch.tensor(a), torch.tensor(b)) == frechet_distance(a, b)


def test_agrees_with_torchmetrics_with_fewer_features_than_dimensions():
    a, b = samples(20, 30, 64)
    assert frechet_distance(a, b) == pytest.approx(by_torchmetrics(a, b), rel=1e-3)


def test_diagonal_gaussians_by_hand():
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * np.sqrt(3 / 4)
    # Covariances diag(4, 9) and diag(1, 1), means (3, 0) and (0, 4).
    a, b = square * (2, 3) + (3, 0), square + np.array((0, 4))
    assert frechet_distance(a, b) == pytest.approx(25 + (2 - 1) ** 2 + (3 - 1) ** 2)


def test_rank_one_sets_by_hand():
    # Both vary along orthogonal axes only: the traces add up.
    a, b = np.zeros((2, 2, 50))
    a[:, 0], b[:, 1] = (1, -1), (2, -2)
    assert frechet_distance(a, b) == pytest.approx(2 + 8)


@given(n=st.integers(2, 12), m=st.integers(2, 12), d=st.integers(1, 20), seed=st.integers(0, 999))
def test_properties(n, m, d, seed):
    a, b = samples(n, m, d, seed)
    distance = frechet_distance(a, b)
    assert distance >= 0
    assert distance == pytest.approx(frechet_distance(b, a), rel=1e-9, abs=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * d)
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(distance, rel=1e-8, abs=1e-8)


def test_refuses_bad_input():
    with pytest.raises(ValueError, match="two features"):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))
    with pytest.raises(ValueError, match="shapes"):
        frechet_distance(np.zeros((5, 4)), np.zeros((5, 3)))
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(np.full((5, 4), np.inf), np.zeros((5, 4)))
