"""The face embedding of the identity distance: dlib's ResNet, from the optional extra `annotate`.

Source: King, "High quality face recognition with deep metric learning", dlib blog, 2017.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

_WEIGHTS = "models/dlib_face_recognition_resnet_model_v1.dat"


def is_installed() -> bool:
    """Whether dlib and its weights are."""
    return None not in (find_spec("dlib"), find_spec("face_recognition_models"))


@cache
def _network():
    import dlib

    package = find_spec("face_recognition_models").submodule_search_locations[0]
    return dlib.face_recognition_model_v1(str(Path(package) / _WEIGHTS))


def embeddings(pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Embeddings (N, 128) float64 of one face a picture.

    Args:
        pictures: (N, H, W, 3) uint8 RGB.
        landmarks: (N, 68, 2) pixels, by which dlib aligns each face.
    """
    import dlib

    found = []
    for picture, points in zip(pictures, landmarks, strict=True):
        low, high = points.min(axis=0).round().astype(int), points.max(axis=0).round().astype(int)
        shape = dlib.full_object_detection(
            dlib.rectangle(*low.tolist(), *high.tolist()),
            [dlib.point(*point) for point in points.round().astype(int).tolist()],
        )
        chip = np.ascontiguousarray(picture)
        found.append(np.array(_network().compute_face_descriptor(chip, shape)))
    return np.stack(found)
