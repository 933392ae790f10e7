"""Masked faces at the native resolution of their sources: what a release is scored on."""

from pathlib import Path

import numpy as np

from unmask.config.params import Params
from unmask.datasets.cache import STYLE, Split
from unmask.evaluation.evaluation_set import EvaluationSet, select_faces
from unmask.faces.records import Face
from unmask.faces.sources import items_of
from unmask.masking import MaskedFace, MaskPlacementError
from unmask.masking.dataset import mask_on, without_occluders


def _padded(pictures: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Pictures (H_i, W_i, ...) at the top left of zeros, stacked to (N, height, width, ...)."""
    stack = np.zeros((len(pictures), height, width, *pictures[0].shape[2:]), pictures[0].dtype)
    for padded, picture in zip(stack, pictures, strict=True):
        padded[: picture.shape[0], : picture.shape[1]] = picture
    return stack


def at_native_resolution(
    params: Params, root: Path, split: Split, source: str | None = None
) -> EvaluationSet:
    """Read at most `evaluate.max_faces` faces of a split at the resolution of their sources.

    Each wears the mask that it wears in the canonical frame, rendered at this resolution; the few
    that it cannot be placed on are left out. Pictures are padded to the largest height and width.

    Args:
        params: of which the sources, the masking, `seed` and `evaluate.max_faces` are read.
        root: the folder of params.yaml, which the sources' paths are relative to.
        split: the split that the faces are evenly selected from.
        source: name of the only source to select from; None selects from all.

    Raises:
        UnmaskError: when the split has no face of that source.
    """
    framed = select_faces(split, params.evaluate.max_faces, source)
    items = {
        item.id: item
        for configured in params.faces.sources
        for item in items_of(configured, root, params.seed, params.image_size)
    }
    masking = without_occluders(params.masking)
    worn: list[tuple[Face, MaskedFace]] = []
    kept = []
    for index, label in enumerate(framed.labels):
        face = items[label["id"]].read()
        entropy = (params.seed, face.id, 0)
        try:
            masked = mask_on(face.image, face.landmarks, face.valid, masking, entropy)
        except MaskPlacementError:
            continue
        worn.append((face, masked))
        kept.append(index)
    height, width = (max(face.image.shape[axis] for face, _ in worn) for axis in (0, 1))
    return EvaluationSet(
        images=_padded([face.image for face, _ in worn], height, width),
        masked=_padded([masked.image for _, masked in worn], height, width),
        valid=_padded([face.valid for face, _ in worn], height, width),
        masks=_padded([masked.mask for _, masked in worn], height, width),
        landmarks=np.stack([face.landmarks for face, _ in worn]),
        gender=framed.gender[kept],
        labels=[
            framed.labels[index] | {name: getattr(masked, name) for name in STYLE}
            for index, (_, masked) in zip(kept, worn, strict=True)
        ],
        framed=False,
    )
