"""What all four networks have in common."""

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Tracing:
    """What a network is traced with, to export it.

    Attributes:
        module: gives the outputs for the inputs, in their order.
        inputs: by name, float32, of a batch of one.
        outputs: their names.
        batches: whether the size of the batch is free.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    batches: bool = True


class Network(nn.Module):
    """A network as `unmask.models.stored` keeps it.

    Attributes:
        image_size: side in pixels of the face crops that it sees; set when it is loaded.
        weights_md5: md5 of its stored weights; set when it is loaded.
        latent: numbers in z, of the inpainting network.
    """

    image_size: int
    weights_md5: str
    latent: int = 0

    def tracing(self, size: int) -> Tracing:
        """What it is traced with for crops of `size` pixels; the module shares its weights."""
        raise NotImplementedError
