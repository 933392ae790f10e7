"""The 68 landmarks of a masked face by integral regression of heat maps (Sun et al. 2018)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmask.config.params import Landmarks
from unmask.geometry.landmarks import COUNT
from unmask.models.backbone import Backbone
from unmask.models.network import Network, Tracing

_LEVELS = (1, 2, 3, 4)  # strides 4, 8, 16, 32


class _TopDown(nn.Module):
    """Lateral 1 x 1 convolutions summed from coarse to fine (Lin et al. 2017), then smoothed.

    Args:
        channels: number of channels of each level, fine to coarse.
        width: number of channels of the result, a multiple of 8.
    """

    def __init__(self, channels: list[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in channels)
        self.smooth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(8, width), nn.SiLU()
        )

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Feature map (N, width, H, W) of the size of the finest of `levels`, fine to coarse."""
        merged = self.laterals[-1](levels[-1])
        for lateral, level in zip(reversed(self.laterals[:-1]), reversed(levels[:-1]), strict=True):
            merged = lateral(level) + functional.interpolate(merged, size=level.shape[-2:])
        return self.smooth(merged)


class LandmarkNet(Network):
    """Heat maps at a quarter of the size, each reduced to its expectation, plus a global offset.

    A heat map's expectation cannot leave the picture; the pooled coarsest features add an offset,
    so that landmarks of a face cut by the border may lie outside.

    Args:
        params: the section `train.landmarks`.
        pretrained: start the backbone from ImageNet weights.
    """

    def __init__(self, params: Landmarks, *, pretrained: bool) -> None:
        super().__init__()
        self.backbone = Backbone(params.backbone, _LEVELS, pretrained=pretrained)
        self.decoder = _TopDown(self.backbone.channels, params.heatmap_channels)
        self.heatmaps = nn.Conv2d(params.heatmap_channels, COUNT, 1)
        self.offset = nn.Linear(self.backbone.channels[-1], 2 * COUNT)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Landmarks (N, 68, 2) in pixels from (N, 3, S, S) RGB in [0, 1]."""
        levels = self.backbone(images)
        maps = self.heatmaps(self.decoder(levels)).float()
        count, _, height, width = maps.shape
        weights = maps.flatten(2).softmax(dim=2).view(count, COUNT, height, width)
        columns = (torch.arange(width, device=maps.device) + 0.5) / width
        rows = (torch.arange(height, device=maps.device) + 0.5) / height
        expected = torch.stack(
            [(weights.sum(dim=2) * columns).sum(dim=2), (weights.sum(dim=3) * rows).sum(dim=2)],
            dim=2,
        )
        offset = self.offset(levels[-1].mean(dim=(2, 3))).float().view(count, COUNT, 2)
        return (expected + offset) * images.shape[-1] - 0.5

    def tracing(self, size: int) -> Tracing:
        """Of `landmarks` (N, 68, 2)."""
        return Tracing(self, {"images": torch.rand(1, 3, size, size)}, ("landmarks",))


def build(params: Landmarks, *, pretrained: bool) -> LandmarkNet:
    """Build the landmark network; the arguments are LandmarkNet's."""
    return LandmarkNet(params, pretrained=pretrained)
