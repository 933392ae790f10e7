"""The networks, one file each, built by name from their params."""

from collections.abc import Callable

from unmask.config.params import Fit
from unmask.models import gender, inpainting, landmarks, segmentation
from unmask.models.network import Network

BUILDERS: dict[str, Callable[..., Network]] = {
    "gender": gender.build,
    "landmarks": landmarks.build,
    "segmentation": segmentation.build,
    "inpainting": inpainting.build,
}


def build(name: str, params: Fit, *, pretrained: bool = False) -> Network:
    """Build a network from its section of params.

    Args:
        name: one of BUILDERS.
        params: the section `train.<name>`.
        pretrained: start the backbone from ImageNet weights; False where stored weights are
            loaded afterwards.

    Raises:
        ValueError: for an unknown name.
        UnmaskError: when pretrained weights cannot be downloaded or do not fit.
    """
    if name not in BUILDERS:
        raise ValueError(f"unknown network '{name}', use {', '.join(BUILDERS)}")
    return BUILDERS[name](params, pretrained=pretrained)
