"""The networks, one file each, built by name from their params."""

from importlib import import_module

from torch import nn

from unmask.params import NETWORKS, Fit


def build(name: str, params: Fit, *, pretrained: bool = False) -> nn.Module:
    """Build a network from its section of params.

    Args:
        name: one of gender, landmarks, segmentation, inpainting.
        params: the section `train.<name>`.
        pretrained: load the backbone's weights; False where stored weights follow.

    Raises:
        ValueError: for an unknown name.
        BackboneError: when pretrained weights cannot be had.
    """
    if name not in NETWORKS:
        raise ValueError(f"unknown network '{name}', use {', '.join(NETWORKS)}")
    return import_module(f"unmask.models.{name}").build(params, pretrained=pretrained)
