"""Which picture files the paths that a user names stand for, and what is left out."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from unmask.errors import readable
from unmask.inference.answers import ANSWER, MARKS
from unmask.inference.results import PictureError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif"),
    *(".bmp", ".tif", ".tiff", ".gif", ".jp2"),
)
_OWN = re.compile(r"(.+)\.(restored|mask|compare|uncertainty|sample-\d+)\.\w+")


class Input(NamedTuple):
    """A picture file, and the folder below the one written into that its answer goes to."""

    file: Path
    folder: Path = Path()

    @property
    def stem(self) -> Path:
        """The path of its answer's files without what tells them apart."""
        return self.folder / self.file.stem


class LeftOut(NamedTuple):
    """What a folder holds and is not restored, and why."""

    path: Path
    reason: str


def inputs_of(
    paths: Iterable[Path], *, recursive: bool = False
) -> tuple[list[Input], list[LeftOut]]:
    """The picture files that paths name; a folder stands for the pictures in it.

    Hidden files, and answers that an earlier run wrote, are passed over.

    Args:
        paths: files and folders.
        recursive: whether a folder stands for those in its subfolders too, which its answers keep.

    Returns:
        The inputs, and what else the folders hold.

    Raises:
        PictureError: when a path is missing or no file, or nothing is left.
    """
    inputs: list[Input] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if path.is_dir():
            for file in _listed(path, path, recursive, left_out):
                inputs.append(Input(file, file.relative_to(path).parent))
        elif path.is_file():
            inputs.append(Input(path))
        elif path.exists():
            raise PictureError(f"{path} is no file: name a picture or a folder of pictures.")
        else:
            raise PictureError(f"{path} does not exist: name a picture or a folder of pictures.")
    if not inputs:
        also = f" ({_listing(left_out)})" if left_out else ""
        raise PictureError(
            f"no pictures were found in the inputs{also}: name files, or a folder of them."
        )
    return list(dict.fromkeys(inputs)), left_out


def _listed(top: Path, folder: Path, recursive: bool, left_out: list[LeftOut]) -> Iterator[Path]:
    """The pictures of a folder in order; what else it holds is added to a list."""
    names = {path.name for path in folder.iterdir()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if recursive:
                yield from _listed(top, path, recursive, left_out)
            else:
                left_out.append(LeftOut(path, "a folder, which --recursive takes"))
        elif not path.is_file() or path.suffix.lower() not in SUFFIXES:
            if not path.name.endswith(ANSWER):
                left_out.append(LeftOut(path, "no picture by its ending"))
        elif not _is_answer(path, names):
            yield path


def _is_answer(path: Path, names: set[str]) -> bool:
    """Whether a file is of an answer: by its name, and the answer beside it or its own mark."""
    own = _OWN.fullmatch(path.name)
    if own is None:
        return False
    if f"{own[1]}{ANSWER}" in names:
        return True
    try:
        raw = path.read_bytes()
    except OSError:  # told when it is restored
        return False
    return any(mark in raw for mark in MARKS)


def _listing(left_out: list[LeftOut]) -> str:
    """What is left out in words: how many for each reason, with the first one's name."""
    counts = Counter(one.reason for one in left_out)
    firsts = {one.reason: one.path for one in reversed(left_out)}
    return "; ".join(
        f"{firsts[reason]}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
        for reason, count in counts.items()
    )


def left_out_sentence(left_out: list[LeftOut]) -> str:
    """A sentence that says what is left out and why."""
    return readable(f"{len(left_out)} left out: {_listing(left_out)}.")
