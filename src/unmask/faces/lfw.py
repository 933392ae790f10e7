"""Labeled Faces in the Wild (Huang et al. 2007): one folder a person, so identity is known."""

from dataclasses import replace
from pathlib import Path

from unmask.faces.folder import Annotated, read_annotations


def read_lfw(folder: Path) -> list[Annotated]:
    """LFW's pictures; a person's identity is the name of the folder the picture lies in.

    Raises:
        SourceError: for a missing folder or table.
    """
    return [
        replace(face, identity=face.identity or face.path.parent.name)
        for face in read_annotations(folder, "lfw")
    ]
