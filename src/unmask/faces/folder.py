"""Annotated folders: picture files with a table of their landmarks and labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from unmask.datasets.splits import split_of
from unmask.errors import UnmaskError
from unmask.faces.annotate import landmarks_of
from unmask.faces.records import Face
from unmask.geometry.landmarks import COUNT

GENDERS = ("male", "female")
TABLES = (".parquet", ".csv")
Number = TypeVar("Number", int, float)


class SourceError(UnmaskError):
    """A source of faces cannot be used; the message names the folder, file or field."""


class UnreadableImage(UnmaskError):  # noqa: N818 - named for what it reports
    """One picture cannot be decoded or shows no face; the rest of its source can be used."""


@dataclass(frozen=True)
class AnnotatedPicture:
    """One annotated picture, not read yet; small and picklable, so that a worker can read it.

    Attributes:
        path: of the picture file.
        source: name of the source.
        id: unique over all sources.
        landmarks: 136 numbers x0, y0, x1, ... in pixels; None where they must be detected.
        gender: 'male' or 'female', None where unknown, as what follows.
        identity: of the person.
        age: in years.
        ethnicity: as the source names it.
        detector_score: confidence of the detector that found the landmarks.
    """

    path: Path
    source: str
    id: str
    landmarks: tuple[float, ...] | None
    gender: str | None = None
    identity: str | None = None
    age: int | None = None
    ethnicity: str | None = None
    detector_score: float | None = None

    def read(self) -> Face:
        """Decode the picture, and detect its landmarks where they are unknown.

        Raises:
            UnreadableImage: naming the file, which is missing, no image, or shows no face.
        """
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            raise UnreadableImage(f"{self.path}: {error.strerror or error}") from error
        decoded = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR) if raw else None
        if decoded is None:
            raise UnreadableImage(f"{self.path}: not an image that can be decoded")
        image = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        known = self.landmarks
        landmarks = landmarks_of(image, raw) if known is None else np.array(known, np.float32)
        if landmarks is None:
            raise UnreadableImage(f"{self.path}: no face was found, so it has no landmarks")
        return Face(
            image=image,
            landmarks=landmarks.reshape(COUNT, 2),
            gender=self.gender,
            valid=np.ones(image.shape[:2], bool),
            split=split_of(self.identity if self.identity is not None else raw),
            source=self.source,
            id=self.id,
            identity=self.identity,
            age=self.age,
            ethnicity=self.ethnicity,
        )


def annotations_of(folder: Path) -> Path:
    """The table of a folder: annotations.parquet or .csv in it, or <folder>.parquet or .csv beside.

    Raises:
        SourceError: when the folder or the table is missing.
    """
    if not folder.is_dir():
        raise SourceError(f"the face folder {folder} does not exist: correct faces.sources' path.")
    candidates = [
        *(folder / f"annotations{suffix}" for suffix in TABLES),
        *(folder.parent / f"{folder.name}{suffix}" for suffix in TABLES),
    ]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise SourceError(
        f"{folder} has no annotations: put annotations.parquet or annotations.csv into it, or "
        f"{folder.name}.parquet beside it, with columns file, landmarks and, if known, gender."
    )


def _table(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            return pq.read_table(file) if path.suffix == ".parquet" else pa_csv.read_csv(file)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path} cannot be read: {str(error).splitlines()[0]}.") from error


def parse_landmarks(value: Any, where: str) -> tuple[float, ...]:
    """136 finite numbers x0, y0, x1, ... in pixels, from a table's cell: a list or text.

    Raises:
        SourceError: naming `where` the cell is, when it holds anything else.
    """
    if isinstance(value, str):
        value = value.split()
    try:
        landmarks = tuple(float(v) for v in value)
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"{where} has no usable landmarks: give 136 numbers x0, y0, ..."
        ) from error
    if len(landmarks) != 2 * COUNT or not np.isfinite(landmarks).all():
        raise SourceError(
            f"{where} has {len(landmarks)} landmark numbers: give 136 finite ones, x0, y0, x1, ..."
        )
    return landmarks


def _text(value: object) -> str | None:
    """A table's cell as text; None where it is empty."""
    empty = value is None or value == "" or value != value  # NaN is not equal to itself
    return None if empty else str(value)


def _number(row: dict, column: str, kind: type[Number], hint: str, where: str) -> Number | None:
    value = row.get(column)
    if value is None or _text(value) is None:
        return None
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise SourceError(
            f"{where} has {column} {value!r}: give {hint} or leave it empty."
        ) from error


def _missing(table: pa.Table) -> str:
    """What to do where a column is missing: spreadsheets of many countries write semicolons."""
    first = table.column_names[0] if table.num_columns else ""
    if table.num_columns == 1 and (";" in first or "\t" in first):
        return "its values are parted by semicolons or tabs, so write them with commas"
    return "add it"


def annotation_rows(folder: Path) -> list[dict]:
    """The rows of a folder's table, checked to have the columns that are required.

    Raises:
        SourceError: for a missing or unreadable table, a missing column, or no rows.
    """
    table_path = annotations_of(folder)
    table = _table(table_path)
    for column in ("file", "landmarks"):
        if column not in table.column_names:
            raise SourceError(f"{table_path} has no column '{column}': {_missing(table)}.")
    if not table.num_rows:
        raise SourceError(f"{table_path} has no rows: annotate at least one picture.")
    return table.to_pylist()


def annotated_picture(row: dict, folder: Path, source: str) -> AnnotatedPicture:
    """One row of a folder's table as a picture that can be read.

    Args:
        row: of `annotation_rows`.
        folder: which holds the picture file.
        source: name of the source.

    Raises:
        SourceError: naming the table, file and column that is wrong.
    """
    table_path = annotations_of(folder)
    where = f"{table_path}: {row['file']}"
    if not row["file"]:
        raise SourceError(f"{table_path} has a row without 'file': name its picture.")
    gender = _text(row.get("gender"))
    if gender is not None and gender not in GENDERS:
        raise SourceError(f"{where} has gender {gender!r}: use male, female or leave it empty.")
    return AnnotatedPicture(
        path=folder / str(row["file"]),
        source=source,
        id=f"{source}/{folder.name}/{row['file']}",
        landmarks=parse_landmarks(row["landmarks"], where),
        gender=gender,
        identity=_text(row.get("identity")),
        age=_number(row, "age", int, "whole years", where),
        ethnicity=_text(row.get("ethnicity")),
        detector_score=_number(row, "detector_score", float, "a number", where),
    )


def read_annotations(folder: Path, source: str) -> list[AnnotatedPicture]:
    """The annotated pictures of a folder, in the table's order.

    The table has the columns `file` (relative to the folder), `landmarks` (136 numbers x0, y0,
    x1, ...; in CSV separated by spaces) and optionally `gender`, `identity`, `age`, `ethnicity` and
    `detector_score`, the confidence of the detector that found the landmarks.

    Raises:
        SourceError: naming the table, row or column that is wrong.
    """
    return [annotated_picture(row, folder, source) for row in annotation_rows(folder)]
