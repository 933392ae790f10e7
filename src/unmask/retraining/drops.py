"""The drop folder: users put folders of new annotated faces ("drops") there."""

import json
import re
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq

from unmask.errors import UnmaskError
from unmask.faces.folder import SourceError, annotation_rows, annotations_of
from unmask.project import whole_folder
from unmask.retraining.new_faces import NewFacesReport

_ATTEMPTS = "attempts.txt"


class DropError(UnmaskError):
    """A drop that cannot be copied; the message says why."""


@dataclass(frozen=True)
class Drop:
    """A folder of new faces.

    Attributes:
        folder: where it is.
        key: its name and a digest of all its files' paths and bytes, which identifies it.
    """

    folder: Path
    key: str


def _files(folder: Path) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    try:
        table = annotations_of(folder)
    except SourceError:
        return sorted(files)
    return sorted({*files, table})


def _key(folder: Path) -> str:
    whole = sha256()
    for file in _files(folder):
        whole.update(f"{file.relative_to(folder.parent)}\0{file.stat().st_size}\0".encode())
        whole.update(file.read_bytes())
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', folder.name)}-{whole.hexdigest()[:12]}"


def drops_in(folder: Path) -> list[Drop]:
    """The drops in a drop folder, sorted by name; none where the folder does not exist."""
    if not folder.is_dir():
        return []
    found = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    return [Drop(f, _key(f)) for f in found]


def copy_good_faces(drop: Drop, report: NewFacesReport, out: Path) -> None:
    """Copy a drop's good faces and their annotations to a folder, whole or not at all.

    Args:
        drop: the faces.
        report: on the drop; names the good faces.
        out: the folder to write, laid out as a source of faces; replaced where it exists.

    Raises:
        DropError: when the drop was changed since it was judged.
    """
    good = set(report.good)
    rows = {str(PurePath(str(row["file"]))): row for row in reversed(annotation_rows(drop.folder))}
    with whole_folder(out) as partial:
        for name in good:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(drop.folder / name, partial / name)
        kept = [row for name, row in reversed(rows.items()) if name in good]
        for row in kept:
            if isinstance(row["landmarks"], str):
                row["landmarks"] = [float(number) for number in row["landmarks"].split()]
        pq.write_table(pa.Table.from_pylist(kept), partial / "annotations.parquet")
        if _key(drop.folder) != drop.key:
            raise DropError(
                f"{drop.folder} changed while it was read: it is validated again next time."
            )


class DropRecords:
    """What became of drops, in one folder per drop: its report, and how often training failed.

    A drop whose bytes change has another key, so it is judged again.

    Args:
        folder: holds the folders of all drops.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save_report(self, drop: Drop, report: NewFacesReport) -> Path:
        """Write a drop's report; returns the folder it is in."""
        report.write(self._folder / drop.key)
        return self._folder / drop.key

    def failed_attempts(self, drop: Drop) -> int:
        """How many trainings with the drop have failed."""
        file = self._folder / drop.key / _ATTEMPTS
        return int(file.read_text()) if file.is_file() else 0

    def count_failure(self, drop: Drop) -> int:
        """Count one more failed training with the drop; returns the new count."""
        number = self.failed_attempts(drop) + 1
        (self._folder / drop.key / _ATTEMPTS).write_text(f"{number}\n")
        return number

    def was_refused(self, drop: Drop) -> bool:
        """Whether the drop was judged and refused."""
        report = self._folder / drop.key / "report.json"
        return report.is_file() and not json.loads(report.read_text())["accepted"]
