"""Picture files of synthetic faces, bare or masked."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from unmask.datasets.shards import encode_image
from unmask.faces.sources import Sampled
from unmask.masking import FABRICS, WEARS, MaskPlacementError, put_on
from unmask.masking.shapes import SHAPES

_OPAQUE = {name: float(shape.pane is None) for name, shape in SHAPES.items()}
_PROPERLY = {name: float(name == "proper") for name in WEARS}


def write_samples(out: Path, count: int, size: int, seed: int, *, masked: bool) -> None:
    """Write `count` faces as OUT/face-NNNN.png.

    Args:
        size: side in pixels.
        seed: of faces and masks; the same seed gives the same bytes.
        masked: whether each wears a mask; a face that no mask fits is left bare.
    """
    out.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = sample(seed, index, size, masked=masked)
        (out / f"face-{index:04d}.png").write_bytes(encode_image(image))


def sample(seed: int, index: int, size: int, *, masked: bool) -> np.ndarray:
    """One of those faces, RGB uint8 (size, size, 3)."""
    face = Sampled(seed, index, size).read()
    if masked:
        with suppress(MaskPlacementError):
            return put_on(
                face.image,
                face.landmarks,
                np.random.default_rng([seed, index, 1]),
                types=_OPAQUE,
                fabrics=dict.fromkeys(FABRICS, 1.0),
                wear=_PROPERLY,
            ).image
    return face.image
