"""Synthetic masked faces that the gate of every project scores beside the project's own."""

from dataclasses import replace

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet
from unmask.faces.synthetic import Sampled
from unmask.masking import MaskPlacementError
from unmask.masking.samples import put_on_sample

COMMON = "common"  # the name of their source
_SEED = 20261128


def with_common_faces(eval_set: EvaluationSet, count: int) -> EvaluationSet:
    """A set of a project's faces in their frames, and of the same synthetic ones everywhere.

    Args:
        eval_set: the project's.
        count: number of the synthetic faces, of which those that no mask fits are left out.

    Returns:
        The two, of which the synthetic ones come last, and are of the source COMMON.
    """
    size = eval_set.images.shape[1]
    faces, masked = [], []
    for index in range(count):
        face = Sampled(_SEED, index, size).read()
        try:
            masked.append(put_on_sample(face, np.random.default_rng([_SEED, index])))
        except MaskPlacementError:
            continue
        faces.append(face)
    if not faces:
        return eval_set
    labels = [
        {
            "id": face.id,
            "source": COMMON,
            "identity": face.identity,
            "gender": face.gender,
            "age": face.age,
            "ethnicity": face.ethnicity,
            "mask_type": mask.mask_type,
            "fabric": mask.fabric,
            "wear": mask.wear,
            "yaw": mask.yaw,
        }
        for face, mask in zip(faces, masked, strict=True)
    ]
    gender = [int(face.gender == "male") for face in faces]
    return replace(
        eval_set,
        images=np.concatenate([eval_set.images, [face.image for face in faces]]),
        masked=np.concatenate([eval_set.masked, [mask.image for mask in masked]]),
        valid=np.concatenate([eval_set.valid, [face.valid for face in faces]]),
        masks=np.concatenate([eval_set.masks, [mask.mask for mask in masked]]),
        landmarks=np.concatenate(
            [eval_set.landmarks, np.array([face.landmarks for face in faces], np.float32)]
        ),
        gender=np.concatenate([eval_set.gender, gender]),
        labels=[*eval_set.labels, *labels],
    )
