"""The moving average of the inpainting network's weights."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from unmask.training.inpainting import _moving_average


def averaged(decay: float, values: list[float]) -> list[float]:
    """The averages of a weight that takes these values, one a step."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 100.0)  # what a training begins with
    average = AveragedModel(network, multi_avg_fn=_moving_average(decay))
    found = []
    for value in values:
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        found.append(float(average.module.weight))
    return found


def test_it_forgets_what_a_training_began_with():
    # the first value is what the average starts from
    torch.testing.assert_close(averaged(0.999, [100.0] + [1.0] * 200)[-1], 1.0, atol=0.05, rtol=0)


def test_later_it_keeps_the_share_that_is_asked_for():
    before, after = averaged(0.9, [0.0] * 400 + [1.0])[-2:]
    torch.testing.assert_close(after - before, 0.1, atol=1e-4, rtol=0)
