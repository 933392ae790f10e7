"""Faces as their sources give them, masked at their own pixels: what a release is scored on."""

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
    out = np.zeros((len(pictures), height, width, *pictures[0].shape[2:]), pictures[0].dtype)
    for place, picture in zip(out, pictures, strict=True):
        place[: picture.shape[0], : picture.shape[1]] = picture
    return out


def at_native_resolution(
    params: Params, root: Path, split: Split, source: str | None = None
) -> EvaluationSet:
    """At most `evaluate.max_faces` faces of a split, as their sources give them.

    Each wears the mask that it wears in the canonical frame, drawn at its own pixels; the few that
    no mask fits there are left out. Pictures of several sizes are padded to the largest.

    Args:
        root: the folder of params.yaml, at which the sources' paths start.
        split: whose faces are taken, evenly spread.
        source: of them only this source's; None takes all.
    """
    framed = select_faces(split, params.evaluate.max_faces, source)
    items = {
        item.id: item
        for source in params.faces.sources
        for item in items_of(source, root, params.seed, params.image_size)
    }
    masking = without_occluders(params.masking)
    worn: list[tuple[Face, MaskedFace]] = []
    kept = []
    for index, label in enumerate(framed.labels):
        face = items[label["id"]].read()
        drawn_from = (params.seed, face.id, 0)
        try:
            masked = mask_on(face.image, face.landmarks, face.valid, masking, drawn_from)
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
