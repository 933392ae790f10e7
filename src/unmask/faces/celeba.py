"""CelebA (Liu et al. 2015) in torchvision's layout, with its attributes and identities."""

from pathlib import Path

from unmask.faces.folder import AnnotatedPicture, SourceError

_PICTURES = "img_align_celeba"
_ATTRIBUTES, _IDENTITIES = "list_attr_celeba.txt", "identity_CelebA.txt"


def _download(folder: Path) -> None:
    from torchvision.datasets import CelebA

    try:
        CelebA(str(folder.parent), split="all", target_type=["attr", "identity"], download=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"{folder} has no {_PICTURES} and CelebA could not be downloaded "
            f"({type(error).__name__}): unpack the data set there, or connect to the network."
        ) from error


def _table_rows(path: Path) -> list[list[str]]:
    if not path.is_file():
        raise SourceError(f"{path} does not exist: copy it there from the data set.")
    return [line.split() for line in path.read_text().splitlines() if line.strip()]


def read_celeba(folder: Path) -> list[AnnotatedPicture]:
    """CelebA's aligned pictures; their landmarks are detected when they are read.

    If a folder named celeba has no pictures, torchvision downloads them into it.

    Raises:
        SourceError: for missing pictures or tables, or a malformed table.
    """
    if not (folder / _PICTURES).is_dir():
        if folder.name != "celeba":
            raise SourceError(f"{folder} has no {_PICTURES}: unpack the data set there.")
        _download(folder)
    _, names, *rows = _table_rows(folder / _ATTRIBUTES)
    if "Male" not in names:
        raise SourceError(f"{folder / _ATTRIBUTES} has no attribute 'Male': use CelebA's.")
    male = names.index("Male")
    identities = {row[0]: row[1] for row in _table_rows(folder / _IDENTITIES)}
    faces = []
    for file, *values in rows:
        if len(values) != len(names):
            raise SourceError(
                f"{folder / _ATTRIBUTES}: {file} has {len(values)} attributes, not {len(names)}."
            )
        faces.append(
            AnnotatedPicture(
                path=folder / _PICTURES / file,
                source="celeba",
                id=f"celeba/{folder.name}/{file}",
                landmarks=None,
                gender="male" if values[male] == "1" else "female",
                identity=f"celeba/{identities[file]}" if file in identities else None,
            )
        )
    return faces
