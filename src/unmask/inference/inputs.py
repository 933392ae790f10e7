"""Which picture files the paths that a user names stand for, and what is left out."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from hashlib import md5
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from unmask.errors import readable
from unmask.inference.answers import ANSWER, MARKS
from unmask.inference.results import PictureError
from unmask.parallel import CORES
from unmask.project import is_url

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif"),
    *(".bmp", ".tif", ".tiff", ".gif", ".jp2"),
)
LARGE_FOLDER = 10_000  # pictures, from which on the answers go to subfolders
_FIRST = max(256, 4 * CORES)  # pictures that are listed before any is restored
Given = TypeVar("Given")
_OWN = re.compile(r"(.+)\.(restored|mask|compare|uncertainty|sample-\d+)\.\w+")


class Input(NamedTuple):
    """A picture file, and the folder below the one written into that its answer goes to.

    `refused` is the sentence that says why it is not restored, where another one has its answer's
    name.
    """

    file: Path
    folder: Path = Path()
    refused: str = ""

    @property
    def stem(self) -> Path:
        """The path of its answer's files without what tells them apart."""
        return self.folder / self.file.stem


class Inputs:
    """The picture files that paths name; a folder stands for the pictures in it.

    Hidden files, and answers that an earlier run wrote, are passed over. Where one path is given,
    its folders are listed one after the other as they are asked for, and never all at once. What
    cannot be listed is left out.

    Args:
        paths: files and folders.
        recursive: whether a folder stands for those in its subfolders too, which its answers keep.
        flat: whether the answers of a folder of LARGE_FOLDER pictures and more lie in one folder,
            too, and not in 256 by the start of the md5 of their names.

    Attributes:
        first: at most 256 of the pictures, or four a core.
        left_out: number and first path of what else the folders hold, by the reason; complete after
            the last picture.

    Raises:
        PictureError: when a path is missing or no file, or nothing is left.
    """

    def __init__(
        self, paths: Iterable[Path], *, recursive: bool = False, flat: bool = False
    ) -> None:
        self._roots, self._recursive, self._flat = list(paths), recursive, flat
        self.left_out: dict[str, tuple[int, Path]] = {}
        for path in self._roots:
            if not path.is_dir() and not path.is_file():
                what = "is no file" if path.exists() else "does not exist"
                raise PictureError(f"{path} {what}: name a picture or a folder of pictures.")
        self.first = list(islice(self, _FIRST))
        if not self.first:
            also = f" ({self._listing()})" if self.left_out else ""
            raise PictureError(
                f"no pictures were found in the inputs{also}: name files, or a folder of them."
            )

    def __iter__(self) -> Iterator[Input]:
        self.left_out.clear()
        listed = (one for path in self._roots for one in self._named(path))
        yield from listed if len(self._roots) == 1 else _refusing(list(listed))

    @property
    def roots(self) -> tuple[Path, ...]:
        """The files and folders, with no links in their paths."""
        return tuple(path.resolve() for path in self._roots)

    @property
    def left_out_sentence(self) -> str:
        """A sentence that says what was left out and why; empty where nothing was."""
        count = sum(number for number, _ in self.left_out.values())
        return readable(f"{count} left out: {self._listing()}.") if count else ""

    def _leave_out(self, path: Path, reason: str) -> None:
        number, first = self.left_out.get(reason, (0, path))
        self.left_out[reason] = number + 1, first

    def _named(self, path: Path) -> Iterator[Input]:
        if path.is_dir():
            yield from self._in_folder(path, Path())
        else:
            yield Input(path)

    def _in_folder(
        self, folder: Path, below: Path, above: tuple[Path, ...] = ()
    ) -> Iterator[Input]:
        """The pictures of a folder in order, and of its subfolders after them."""
        real = folder if is_url(folder) else folder.resolve()
        if real in above:
            self._leave_out(folder, "a link to a folder that it lies in")
            return
        try:
            entries = sorted(_entries(folder))
        except OSError as error:
            self._leave_out(folder, f"it cannot be read: {error.strerror or error}")
            return
        answers = {name for name, _ in entries if name.endswith(ANSWER)}
        pictures = []
        for name, kind in entries:
            if name.startswith(".") or kind == "folder":
                continue
            if kind != "file" or Path(name).suffix.lower() not in SUFFIXES:
                if not name.endswith(ANSWER):
                    self._leave_out(folder / name, "no picture by its ending")
            elif not _is_answer(folder / name, answers):
                pictures.append(name)
        spread = len(pictures) >= LARGE_FOLDER and not self._flat
        alike = _alike(pictures, lambda name: Path(name).stem)
        for name in pictures:
            one = Input(folder / name, below / _part(name) if spread else below)
            yield _judged(one, [folder / other for other in alike.get(one.file.stem, ())])
        for name in (name for name, kind in entries if kind == "folder" and name[0] != "."):
            if self._recursive:
                yield from self._in_folder(folder / name, below / name, (*above, real))
            else:
                self._leave_out(folder / name, "a folder, which --recursive takes")

    def _listing(self) -> str:
        """What is left out in words: how many for each reason, with the first one's name."""
        return "; ".join(
            f"{first}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
            for reason, (count, first) in self.left_out.items()
        )


def is_input(path: Path, roots: tuple[Path, ...]) -> bool:
    """Whether a file is one of those that `Inputs.roots` stand for, and no earlier answer."""
    real = path.resolve()
    within = any(root == real or root in real.parents for root in roots)
    return within and real.is_file() and not _is_answer(real, _names_beside(real))


def _entries(folder: Path) -> Iterator[tuple[str, str]]:
    """Names in a folder, and whether each is a file, a folder or something else."""
    if is_url(folder):
        for entry in folder.fs.ls(folder.path, detail=True):  # type: ignore[attr-defined]
            name = entry["name"].rstrip("/").rpartition("/")[2]
            if entry["type"] == "directory":
                yield name, "folder"
            elif not entry["name"].endswith("/"):  # the mark of an empty folder
                yield name, "file"
        return
    with os.scandir(folder) as found:
        for entry in found:
            try:
                kind = "folder" if entry.is_dir() else "file" if entry.is_file() else "other"
            except OSError:  # a link to itself
                kind = "other"
            yield entry.name, kind


def _part(name: str) -> str:
    """One of 256 folders, for a file by its name."""
    return f"md5-{md5(os.fsencode(name)).hexdigest()[:2]}"


def _refusing(inputs: list[Input]) -> list[Input]:
    """The inputs, each once, with those refused whose answers would have the same names."""
    inputs = list(dict.fromkeys(inputs))
    alike = _alike(inputs, lambda one: one.stem)
    return [_judged(one, [other.file for other in alike.get(one.stem, ())]) for one in inputs]


def _alike(given: list[Given], stem: Callable[[Given], Any]) -> dict[Any, list[Given]]:
    """Those that share a stem with another, by the stem; of many, most take no memory."""
    twice = {one for one, other in pairwise(sorted(map(stem, given))) if one == other}
    found: dict[Any, list[Given]] = {one: [] for one in twice}
    for one in given:
        if (own := stem(one)) in found:
            found[own].append(one)
    return found


def _judged(one: Input, alike: list[Path]) -> Input:
    """The input, refused where there are files whose answers would have the same names."""
    if not alike:
        return one
    names = " and ".join(map(str, alike))
    refused = f"{names} would both be answered as {one.stem}{ANSWER}: rename one."
    return one._replace(refused=refused)


def _names_beside(path: Path) -> set[str]:
    """The name of a file's answer, if it is there."""
    own = _OWN.fullmatch(path.name)
    answer = f"{own[1]}{ANSWER}" if own else ""
    return {answer} if answer and path.with_name(answer).is_file() else set()


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
