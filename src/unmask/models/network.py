"""What all four networks have in common."""

from torch import nn


class Network(nn.Module):
    """A network as `unmask.models.stored` keeps it.

    Attributes:
        image_size: side in pixels of the face crops that it sees; set when it is loaded.
        weights_md5: md5 of its stored weights; set when it is loaded.
    """

    image_size: int
    weights_md5: str
