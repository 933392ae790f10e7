"""EfficientNet-Lite0 with ImageNet weights: features of the Frechet and perceptual distances."""

from functools import cache

import numpy as np
import torch
from timm.models import EfficientNet
from torch.nn import functional

from unmask.losses.inpainting import DISTANCE_LEVELS
from unmask.models.backbone import PACKAGED, Backbone, pretrained_classifier

_SIDE = 224
_BATCH = 16


@torch.inference_mode()
def pooled_features(pictures: np.ndarray) -> np.ndarray:
    """Features of the last layer, globally pooled, (N, 1280) float64.

    Args:
        pictures: (N, H, W, 3) uint8 RGB; resized to 224 x 224, bicubic and anti-aliased, and
            scaled to [-1, 1] as the network was trained.
    """
    network = pretrained_classifier(PACKAGED).eval()
    assert isinstance(network, EfficientNet)
    features = []
    for start in range(0, len(pictures), _BATCH):
        batch = torch.from_numpy(np.ascontiguousarray(pictures[start : start + _BATCH]))
        scaled = functional.interpolate(
            batch.permute(0, 3, 1, 2).float(), size=(_SIDE, _SIDE), mode="bicubic", antialias=True
        ).clamp(0, 255)
        maps = network.forward_features(scaled / 127.5 - 1)
        features.append(network.forward_head(maps, pre_logits=True))
    return torch.cat(features).double().numpy()


@cache
def _pyramid() -> Backbone:
    return Backbone(PACKAGED, DISTANCE_LEVELS, pretrained=True).eval()


@torch.inference_mode()
def feature_levels(pictures: np.ndarray) -> list[np.ndarray]:
    """Feature maps of strides 8, 16 and 32, each (N, C, S / stride, S / stride) float32.

    Args:
        pictures: (N, S, S, 3) uint8 RGB, S a multiple of 32; all are one batch.
    """
    batch = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2)
    return [level.numpy() for level in _pyramid()(batch.float() / 255)]
