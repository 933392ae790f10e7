"""Gender classification of a masked face (Section III-A of the paper)."""

import torch
from torch import Tensor, nn

from unmask.config.params import Gender
from unmask.models.backbone import Backbone
from unmask.models.network import Network, Tracing

_LEVELS = (3, 4)  # strides 16, 32


class GenderNet(Network):
    """A linear classifier, after dropout, of globally pooled features of the two coarsest levels.

    Args:
        params: the section `train.gender`.
        pretrained: start the backbone from ImageNet weights.
    """

    def __init__(self, params: Gender, *, pretrained: bool) -> None:
        super().__init__()
        self.backbone = Backbone(params.backbone, _LEVELS, pretrained=pretrained)
        self.head = nn.Sequential(
            nn.Dropout(params.dropout), nn.Linear(sum(self.backbone.channels), 1)
        )

    def pooled(self, images: Tensor) -> Tensor:
        """The features (N, F) that are classified, from (N, 3, S, S) RGB in [0, 1]."""
        return torch.cat([level.mean(dim=(2, 3)) for level in self.backbone(images)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logit of 'male' (N,) from (N, 3, S, S) RGB in [0, 1]."""
        return self.head(self.pooled(images)).squeeze(1)

    def tracing(self, size: int) -> Tracing:
        """Of `logit` (N,) and the `features` (N, F) that it is computed from."""
        images = torch.rand(1, 3, size, size)
        return Tracing(_WithFeatures(self), {"images": images}, ("logit", "features"))


class _WithFeatures(nn.Module):
    def __init__(self, network: GenderNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.pooled(images)
        return self.network.head(features).squeeze(1), features


def build(params: Gender, *, pretrained: bool) -> GenderNet:
    """Build the gender network; the arguments are GenderNet's."""
    return GenderNet(params, pretrained=pretrained)
