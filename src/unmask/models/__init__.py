"""The networks, one file each, built by name from their params."""

from collections.abc import Callable

from torch import nn

from unmask.config.params import Fit
from unmask.models import gender, inpainting, landmarks, segmentation

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "gender": gender.build,
    "landmarks": landmarks.build,
    "segmentation": segmentation.build,
    "inpainting": inpainting.build,
}


def build(name: str, params: Fit, *, pretrained: bool = False) -> nn.Module:
    """Build a network from its section of params.

    Args:
        name: one of BUILDERS.
        params: the section `train.<name>`.
        pretrained: load the backbone's weights; False where stored weights follow.

    Raises:
        ValueError: for an unknown name.
        BackboneError: when pretrained weights cannot be had.
    """
    if name not in BUILDERS:
        raise ValueError(f"unknown network '{name}', use {', '.join(BUILDERS)}")
    return BUILDERS[name](params, pretrained=pretrained)
