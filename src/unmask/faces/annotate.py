"""68 landmarks for pictures without annotation, by dlib from the optional extra `annotate`.

Sources: King, "Dlib-ml", JMLR 2009; Kazemi & Sullivan, "One millisecond face alignment", CVPR 2014.

Results are stored by the picture's content, so that each picture is annotated once.
"""

import sqlite3
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from unmask.errors import UnmaskError
from unmask.geometry.landmarks import COUNT
from unmask.project import state_path

_PREDICTOR = "shape_predictor_68_face_landmarks.dat"


def dlib_weights(name: str) -> Path | None:
    """Path of a file of face_recognition_models; None where that or dlib is not installed."""
    package = find_spec("face_recognition_models")
    folders = package.submodule_search_locations if package is not None else None
    if not folders or find_spec("dlib") is None:
        return None
    return Path(folders[0]) / "models" / name


@cache
def _dlib() -> tuple[Any, Any]:
    """The face detector and the landmark predictor of dlib."""
    weights = dlib_weights(_PREDICTOR)
    if weights is None:
        raise UnmaskError(
            "these faces have no landmarks and dlib, which finds them, is not installed: "
            "pip install 'unmask[annotate]'."
        )
    import dlib

    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(weights))


def _annotate(image: np.ndarray) -> np.ndarray | None:
    """Landmarks (68, 2) of the largest face of an RGB picture (H, W, 3), or None."""
    detector, predictor = _dlib()
    boxes = detector(np.ascontiguousarray(image), 1)
    if not boxes:
        return None
    shape = predictor(np.ascontiguousarray(image), max(boxes, key=lambda box: box.area()))
    return np.array([(point.x, point.y) for point in shape.parts()], np.float32)


def landmarks_of(image: np.ndarray, raw: bytes, store: Path | None = None) -> np.ndarray | None:
    """Landmarks of the largest face of a picture, from the store or else found and stored.

    Args:
        image: (H, W, 3) uint8 RGB.
        raw: the file's bytes, whose hash is the picture's key in the store.
        store: a SQLite file, created if it is missing; None takes the project's.

    Returns:
        (68, 2) float32 pixels, or None where no face is found.

    Raises:
        UnmaskError: when the picture is not in the store and dlib is not installed.
    """
    store, key = store or state_path("landmarks.db"), sha256(raw).digest()
    store.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(store, timeout=60) as database:
        database.execute("CREATE TABLE IF NOT EXISTS landmarks (key BLOB PRIMARY KEY, points BLOB)")
        row = database.execute("SELECT points FROM landmarks WHERE key = ?", (key,)).fetchone()
        if row is not None:
            stored = np.frombuffer(row[0], np.float32).reshape(-1, 2)
            return stored.copy() if len(stored) == COUNT else None
    points = _annotate(image)
    content = b"" if points is None else points.tobytes()
    with sqlite3.connect(store, timeout=60) as database:
        database.execute("INSERT OR REPLACE INTO landmarks VALUES (?, ?)", (key, content))
    return points
