"""Labeled Faces in the Wild (Huang et al. 2007): one folder per person, so identity is known."""

from dataclasses import replace
from pathlib import Path

from unmask.faces.folder import AnnotatedPicture, read_annotations


def read_lfw(folder: Path) -> list[AnnotatedPicture]:
    """LFW's pictures; identity is the name of the folder that a picture lies in.

    Raises:
        SourceError: for a missing folder or table.
    """
    return [
        replace(face, identity=face.identity or face.path.parent.name)
        for face in read_annotations(folder, "lfw")
    ]
