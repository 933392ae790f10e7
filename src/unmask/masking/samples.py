"""Writes pictures of synthetic faces, with or without a mask."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from unmask.datasets.png import encode_image
from unmask.faces.records import Face
from unmask.faces.synthetic import Sampled
from unmask.masking import FABRICS, WEARS, MaskedFace, MaskPlacementError, put_on
from unmask.masking.shapes import SHAPES

_OPAQUE = {name: float(shape.pane is None) for name, shape in SHAPES.items()}
_PROPERLY = {name: float(name == "proper") for name in WEARS}


def write_samples(out: Path, count: int, size: int, seed: int, *, masked: bool) -> None:
    """Write `count` faces as OUT/face-NNNN.png.

    Args:
        out: folder, created if it is missing.
        count: number of faces.
        size: side in pixels.
        seed: of faces and masks; the same seed gives the same bytes.
        masked: whether each wears a mask; a face that no mask fits has none.
    """
    out.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = sample(seed, index, size, masked=masked)
        (out / f"face-{index:04d}.png").write_bytes(encode_image(image))


def sample(seed: int, index: int, size: int, *, masked: bool) -> np.ndarray:
    """One synthetic face as `write_samples` writes it.

    Args:
        seed: of face and mask.
        index: number of the face, from 0.
        size: side in pixels.
        masked: whether it wears a mask; a face that no mask fits has none.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    face = Sampled(seed, index, size).read()
    if masked:
        with suppress(MaskPlacementError):
            return put_on_sample(face, np.random.default_rng([seed, index, 1])).image
    return face.image


def put_on_sample(face: Face, rng: np.random.Generator) -> MaskedFace:
    """A face with a mask that is opaque and properly worn, all kinds and fabrics as likely.

    Raises:
        MaskPlacementError: when no mask fits the face.
    """
    return put_on(
        face.image,
        face.landmarks,
        rng,
        types=_OPAQUE,
        fabrics=dict.fromkeys(FABRICS, 1.0),
        wear=_PROPERLY,
    )
