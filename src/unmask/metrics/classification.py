"""Accuracy and ROC-AUC of the gender classifier; faces of unknown gender are skipped."""

import torch
from torchmetrics.functional.classification import binary_accuracy, binary_auroc

from unmask.metrics.inputs import Array, to_numpy

UNKNOWN = -1  # gender of a face without that label


def gender_accuracy(probability: Array, gender: Array) -> float:
    """Return the share of faces of known gender that are classified correctly.

    A face is classified as 1 where its probability exceeds 0.5.

    Args:
        probability: predicted probability of gender 1, shape (N,), 0..1.
        gender: true gender, integer (N,): 0, 1, or -1 where unknown.

    Returns:
        The share, 0..1.

    Raises:
        ValueError: if shapes, ranges or labels are wrong, or no gender is known.
    """
    probability, gender = _known(probability, gender)
    return float(binary_accuracy(probability, gender))


def gender_auroc(probability: Array, gender: Array) -> float:
    """Return the area under the ROC curve over the faces of known gender.

    It is the probability that a random face of gender 1 scores above a random face of gender 0,
    ties counted half.

    Args:
        probability: predicted probability of gender 1, shape (N,), 0..1.
        gender: true gender, integer (N,): 0, 1, or -1 where unknown.

    Returns:
        The area, 0..1; 0.5 is chance.

    Raises:
        ValueError: if shapes, ranges or labels are wrong, or the known faces are not of both
            genders.
    """
    probability, gender = _known(probability, gender)
    if len(gender.unique()) < 2:
        raise ValueError("the ROC curve needs known faces of both genders")
    return float(binary_auroc(probability, gender))


def _known(probability: Array, gender: Array) -> tuple[torch.Tensor, torch.Tensor]:
    """Probability, float64, and gender, int64, of the faces of known gender."""
    probability, gender = to_numpy(probability), to_numpy(gender)
    if probability.ndim != 1 or probability.shape != gender.shape:
        raise ValueError(
            "probability and gender must both have shape (N,), not "
            f"{probability.shape} and {gender.shape}"
        )
    known = gender != UNKNOWN
    probability, gender = probability[known], gender[known]
    if not known.any():
        raise ValueError("no gender is known")
    if not ((gender == 0) | (gender == 1)).all():
        raise ValueError("gender must be 0, 1, or -1 where unknown")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probability must lie in 0..1; apply the sigmoid to logits first")
    return torch.tensor(probability, dtype=torch.float64), torch.tensor(gender, dtype=torch.long)
