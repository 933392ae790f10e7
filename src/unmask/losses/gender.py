"""Binary cross-entropy of the gender network; faces of unknown gender add nothing."""

from torch import Tensor
from torch.nn import functional


def labelled_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.05) -> Tensor:
    """Binary cross-entropy averaged over all faces, to which unlabelled ones add 0.

    Args:
        logits: (N,) of 'male'.
        labels: (N,) 1 male, 0 female, NaN unknown.
        smoothing: label smoothing, 0..1 (Szegedy et al. 2016): the targets are smoothing / 2 and
            1 - smoothing / 2.

    Returns:
        Scalar, at least 0; 0 where no face is labelled.
    """
    known = labels.isfinite()
    targets = labels[known] * (1 - smoothing) + smoothing / 2
    total = functional.binary_cross_entropy_with_logits(logits[known], targets, reduction="sum")
    return total / len(labels)
