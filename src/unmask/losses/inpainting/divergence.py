"""Kullback-Leibler divergence of the latent's posterior (Kingma & Welling 2014, appendix B).

Each number of z may tell a little at no cost, so that none is given up ("free bits", Kingma et al.
2016, "Improving variational inference with inverse autoregressive flow").
"""

from torch import Tensor


def kl_divergence(mean: Tensor, log_variance: Tensor, free: float = 0.0) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats beyond what is free, summed over z.

    Args:
        mean, log_variance: (N, Z).
        free: nats of each number of z.

    Returns:
        (N,), at least 0.
    """
    nats = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
    return (nats - free).clamp_min(0).sum(dim=1)
