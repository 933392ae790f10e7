"""Flickr-Faces-HQ (Karras, Laine & Aila 2019): folders of pictures and one JSON of landmarks."""

import json
from pathlib import Path

from unmask.faces.folder import AnnotatedPicture, SourceError, parse_landmarks

_TABLE = "ffhq-dataset-v2.json"
_SIDE, _THUMBNAIL = 1024, 128  # pixels


def read_ffhq(folder: Path) -> list[AnnotatedPicture]:
    """FFHQ's pictures, from images1024x1024 or else thumbnails128x128.

    The data set has no labels of gender. Pictures that were not downloaded are left out.

    Raises:
        SourceError: for a missing folder, table or pictures, or a malformed table.
    """
    table = folder / _TABLE
    if not table.is_file():
        raise SourceError(f"{folder} has no {_TABLE}: copy it there from the data set.")
    try:
        entries = json.loads(table.read_bytes())
    except ValueError as error:
        raise SourceError(f"{table} cannot be read: {error}.") from error
    full_size = (folder / f"images{_SIDE}x{_SIDE}").is_dir()
    kind, ratio = ("image", 1.0) if full_size else ("thumbnail", _THUMBNAIL / _SIDE)
    faces = []
    for key, entry in entries.items():
        where = f"{table}: {key}"
        try:
            path = folder / entry[kind]["file_path"]
            points = [value for point in entry["image"]["face_landmarks"] for value in point]
        except (KeyError, TypeError) as error:
            raise SourceError(f"{where} has no {error}: use the data set's own table.") from error
        if path.is_file():
            # the centre of the first pixel is (0, 0) at any size
            scaled = tuple((v + 0.5) * ratio - 0.5 for v in parse_landmarks(points, where))
            faces.append(AnnotatedPicture(path, "ffhq", f"ffhq/{folder.name}/{key}", scaled))
    if not faces:
        raise SourceError(
            f"{folder} has none of the pictures that {_TABLE} names: put them into "
            f"images{_SIDE}x{_SIDE} or thumbnails{_THUMBNAIL}x{_THUMBNAIL}."
        )
    return faces
