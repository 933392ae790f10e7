"""UTKFace (Zhang, Song & Qi 2017): face crops named age_gender_ethnicity_date.jpg."""

import re
from dataclasses import replace
from pathlib import Path

from unmask.faces.folder import AnnotatedPicture, SourceError, read_annotations

_GENDERS = {"0": "male", "1": "female"}
_ETHNICITIES = {"0": "white", "1": "black", "2": "asian", "3": "indian", "4": "other"}
_NAME = re.compile(r"(\d{1,3})_([01])_(?:([0-4])_)?\d+")


def _labelled(face: AnnotatedPicture) -> AnnotatedPicture:
    """The picture with what its table lacks read from the file's name."""
    match = _NAME.match(face.path.name)
    if match is None:
        if face.gender is None:
            raise SourceError(
                f"{face.path} is not named age_gender_ethnicity_date as UTKFace names its files: "
                "rename it, or read the folder with the source 'folder'."
            )
        return face
    age, gender, ethnicity = match.groups()
    return replace(
        face,
        age=int(age) if face.age is None else face.age,
        gender=face.gender or _GENDERS[gender],
        ethnicity=face.ethnicity or _ETHNICITIES.get(ethnicity),
    )


def read_utkface(folder: Path) -> list[AnnotatedPicture]:
    """UTKFace's face crops; labels come from the table or else from the file's name.

    A few names lack the ethnicity.

    Raises:
        SourceError: for a missing folder or table, or a name without labels.
    """
    return [_labelled(face) for face in read_annotations(folder, "utkface")]
