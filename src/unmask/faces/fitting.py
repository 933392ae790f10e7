"""Selects and prepares the annotated faces that the appearance model is fitted to."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from unmask.face_model.appearance_model import AppearanceModel
from unmask.face_model.fit import AnnotatedFace, fit
from unmask.faces.folder import AnnotatedPicture, SourceError, UnreadableImage
from unmask.faces.records import Face, framed
from unmask.faces.sources import READERS
from unmask.geometry.frame import EYE_DISTANCE

_SIDE = 176  # pixels; larger than the model's texture, so that two warps blur it little
_TEXTURE_COMPONENTS = 300
_LEAST_DETECTOR_SCORE = 0.55  # below it, landmarks are often off the face


def _frontal(face: Face) -> bool:
    """Whether the landmarks of a framed face are those of an upright, nearly frontal one."""
    points = (face.landmarks + 0.5) / len(face.image)
    turn = (points[30, 0] - (points[36, 0] + points[45, 0]) / 2) / EYE_DISTANCE
    width = points[16, 0] - points[0, 0]
    height = points[8, 1] - points[27, 1]
    inside = points[:, 0].min() >= 0 and points[:, 0].max() <= 1
    return bool(abs(turn) <= 0.28 and 0.5 < width < 0.85 and 0.4 < height < 0.75 and inside)


def _without_padding(face: Face) -> Face | None:
    """The face with black padding and the border marked invalid; None where it has plain bars."""
    image = face.image
    valid = face.valid.copy()
    dark = (image.max(axis=2) < 6).astype(np.uint8)
    dark[1:-1, 1:-1] &= cv2.erode(dark, np.ones((5, 5), np.uint8))[1:-1, 1:-1]
    if dark[0].all() or dark[-1].all() or dark[:, 0].all() or dark[:, -1].all():
        valid &= cv2.dilate(dark, np.ones((7, 7), np.uint8)) == 0
    elif image[:, :3].std() < 4 and image[:, -3:].std() < 4:
        return None
    valid[[0, -1]] = False
    valid[:, [0, -1]] = False
    return replace(face, valid=valid)


def _skin_coloured(face: Face) -> bool:
    """Whether the middle of a framed face is reddish, unlike in black-and-white photos."""
    third = len(face.image) // 3
    inner = face.image[third : 2 * third, third : 2 * third].reshape(-1, 3).mean(axis=0)
    return bool(inner[0] - inner[2] >= 12)


def _usable(
    items: Iterable[AnnotatedPicture], progress: Callable[[str], None]
) -> Iterator[AnnotatedFace]:
    """The framed faces that suit the model; `progress` gets a line for each unreadable one."""
    for item in items:
        if item.detector_score is not None and item.detector_score < _LEAST_DETECTOR_SCORE:
            continue
        try:
            face = item.read()
        except UnreadableImage as error:
            progress(f"left out: {error}")
            continue
        if face.split == "holdout":
            continue
        unpadded = _without_padding(face)
        if unpadded is None:
            continue
        try:
            face = framed(unpadded, _SIDE)
        except ValueError as error:
            progress(f"left out: {item.id}: {error}")
            continue
        if _frontal(face) and _skin_coloured(face):
            yield (face.image, face.landmarks, face.valid, face.gender, face.age, face.ethnicity)


def fit_folders(folders: list[Path], progress: Callable[[str], None]) -> AppearanceModel:
    """Fit the appearance model to annotated folders; holdout faces are left out.

    A folder with the name of a source, such as lfw, is read as that data set; any other by its
    table alone.

    Args:
        folders: annotated folders.
        progress: called with one line after each step and for each face left out.

    Raises:
        SourceError: for a folder or table that cannot be used, or too few usable faces.
    """
    items = [
        item for folder in folders for item in READERS.get(folder.name, READERS["folder"])(folder)
    ]
    try:
        return fit(
            _usable(items, progress),
            texture_components=min(_TEXTURE_COMPONENTS, max(2, len(items) // 4)),
            origin=", ".join(folder.name for folder in folders),
            progress=progress,
        )
    except ValueError as error:
        raise SourceError(f"{error}.") from error
