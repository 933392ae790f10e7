import numpy as np
import pytest

from unmask.metrics.identity import identity_distance, same_person_share


def test_distance_is_euclidean_face_by_face():
    true = np.zeros((3, 4))
    predicted = np.array([[0, 0, 0, 0], [3, 4, 0, 0], [0.3, 0, 0.4, 0]])
    np.testing.assert_allclose(identity_distance(predicted, true), [0, 5, 0.5])


def test_the_share_counts_distances_below_the_threshold():
    assert same_person_share(np.array([0.1, 0.59, 0.6, 0.9])) == 0.5


@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        (np.zeros((2, 4)), np.zeros((3, 4))),
        (np.zeros(4), np.zeros(4)),
        (np.full((2, 4), np.nan), np.zeros((2, 4))),
    ],
)
def test_what_does_not_fit_is_refused(predicted, true):
    with pytest.raises(ValueError, match="embeddings"):
        identity_distance(predicted, true)
