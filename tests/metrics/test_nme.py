import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.metrics.nme import failure_rate, nme


@pytest.fixture
def faces():
    return np.random.default_rng(0).uniform(0, 200, (5, 68, 2))


def test_hand_computed(faces):
    faces[:, 36], faces[:, 45] = (10, 20), (70, 100)
    moved = faces.copy()
    moved[1] += (3, 4)
    moved[2, 0] += (0, 34)
    np.testing.assert_allclose(nme(moved, faces), [0, 0.05, 34 / 68 / 100, 0, 0], atol=1e-12)


def test_agrees_with_a_loop(faces):
    predicted = faces + np.random.default_rng(1).normal(0, 3, faces.shape)
    expected = [
        sum(np.hypot(*(p - t)) for p, t in zip(a, b, strict=True)) / 68 / np.hypot(*(b[36] - b[45]))
        for a, b in zip(predicted, faces, strict=True)
    ]
    np.testing.assert_allclose(nme(predicted, faces), expected)
    np.testing.assert_allclose(nme(torch.tensor(predicted), torch.tensor(faces)), expected)


@given(scale=st.floats(0.01, 100), shift=st.floats(-1e3, 1e3), angle=st.floats(0, 6.3))
def test_similarity_of_both_shapes_changes_nothing(scale, shift, angle):
    rng = np.random.default_rng(2)
    true, predicted = rng.uniform(0, 200, (2, 3, 68, 2))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = nme(predicted @ turn + shift, true @ turn + shift)
    np.testing.assert_allclose(moved, nme(predicted, true), rtol=1e-6)


def test_refuses_bad_input(faces):
    with pytest.raises(ValueError, match=r"\(N, 68, 2\)"):
        nme(faces[:, :5], faces[:, :5])
    with pytest.raises(ValueError, match="finite"):
        nme(np.full_like(faces, np.nan), faces)
    closed = faces.copy()
    closed[3, 36] = closed[3, 45]
    with pytest.raises(ValueError, match=r"coincide in the faces \[3\]"):
        nme(faces, closed)


def test_failure_rate():
    assert failure_rate(np.array([0.01, 0.08, 0.0801, 0.5])) == 0.5
    assert failure_rate(torch.tensor([0.01, 0.2]), threshold=0.3) == 0
    with pytest.raises(ValueError, match="no faces"):
        failure_rate(np.array([]))
    with pytest.raises(ValueError, match="NaN"):
        failure_rate(np.array([np.nan]))
