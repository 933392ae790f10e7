import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from unmask.metrics.classification import gender_accuracy, gender_auroc

FACES = st.lists(
    st.tuples(st.sampled_from([0, 0.1, 0.4, 0.5, 0.6, 0.9, 1]), st.sampled_from([-1, 0, 1])),
    min_size=1,
    max_size=40,
).filter(lambda faces: {0, 1} <= {g for _, g in faces})


def test_hand_computed():
    probability = np.array([0.9, 0.2, 0.7, 0.6, 0.99])
    gender = np.array([1, 0, 0, 1, -1])
    assert gender_accuracy(probability, gender) == pytest.approx(3 / 4)
    assert gender_auroc(probability, gender) == pytest.approx(3 / 4)
    assert gender_auroc(torch.tensor(probability), torch.tensor(gender)) == pytest.approx(3 / 4)


@given(FACES)
def test_agrees_with_scikit_learn(faces):
    probability, gender = np.array(faces, dtype=float).T
    gender = gender.astype(int)
    known = gender >= 0
    accuracy = accuracy_score(gender[known], probability[known] > 0.5)
    area = roc_auc_score(gender[known], probability[known])
    assert gender_accuracy(probability, gender) == pytest.approx(accuracy, abs=1e-6)
    assert gender_auroc(probability, gender) == pytest.approx(area, abs=1e-6)


@pytest.mark.parametrize("metric", [gender_accuracy, gender_auroc])
def test_refuses_bad_input(metric):
    with pytest.raises(ValueError, match="no gender is known"):
        metric(np.array([0.5]), np.array([-1]))
    with pytest.raises(ValueError, match="sigmoid"):
        metric(np.array([-3.0, 2.0]), np.array([0, 1]))
    with pytest.raises(ValueError, match="gender must be"):
        metric(np.array([0.5, 0.6]), np.array([1, 2]))
    with pytest.raises(ValueError, match="shape"):
        metric(np.array([0.5, 0.6]), np.array([1]))


def test_auroc_of_one_gender_is_refused():
    with pytest.raises(ValueError, match="both genders"):
        gender_auroc(np.array([0.5, 0.6, 0.1]), np.array([1, 1, -1]))
    assert gender_accuracy(np.array([0.5, 0.6, 0.1]), np.array([1, 1, -1])) == 0.5
