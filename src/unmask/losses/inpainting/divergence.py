"""Kullback-Leibler divergence of the latent's posterior (Kingma & Welling 2014, appendix B)."""

from torch import Tensor


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats, summed over z.

    Args:
        mean, log_variance: (N, Z).

    Returns:
        (N,), at least 0.
    """
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
