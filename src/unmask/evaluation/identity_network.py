"""Face embeddings of the identity distance: dlib's ResNet, from the optional extra `annotate`.

Source: King, "High quality face recognition with deep metric learning", dlib blog, 2017.
"""

from functools import cache
from typing import Any

import numpy as np

from unmask.faces.annotate import dlib_weights
from unmask.parallel import CORES, ordered_map

_WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"
_CHUNK = 32  # faces per task of a worker process


def is_installed() -> bool:
    """Whether dlib and the weights of its face embedding are installed."""
    return dlib_weights(_WEIGHTS) is not None


@cache
def _network() -> Any:
    import dlib

    return dlib.face_recognition_model_v1(str(dlib_weights(_WEIGHTS)))


def _embedding(face: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    import dlib

    picture, points = face
    low, high = points.min(axis=0).round().astype(int), points.max(axis=0).round().astype(int)
    shape = dlib.full_object_detection(
        dlib.rectangle(*low.tolist(), *high.tolist()),
        [dlib.point(*point) for point in points.round().astype(int).tolist()],
    )
    return np.array(_network().compute_face_descriptor(np.ascontiguousarray(picture), shape))


def embeddings(pictures: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Embed one face per picture, in one worker process per processor.

    Args:
        pictures: (N, H, W, 3) uint8 RGB.
        landmarks: (N, 68, 2) pixels, by which dlib aligns each face.

    Returns:
        (N, 128) float64.
    """
    workers = min(CORES, -(-len(pictures) // _CHUNK))
    faces = zip(pictures, landmarks, strict=True)
    return np.stack(list(ordered_map(_embedding, faces, workers, _CHUNK)))
