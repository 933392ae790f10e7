"""New annotated faces, judged before they may enter a training."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from unmask.config.params import NewData, Params
from unmask.face_model.appearance_model import EMBEDDED, AppearanceModel
from unmask.faces.duplicates import near_duplicates, picture_hash
from unmask.faces.folder import (
    AnnotatedPicture,
    SourceError,
    UnreadableImage,
    annotated_picture,
    annotation_rows,
)
from unmask.faces.records import framed
from unmask.faces.sources import Item, items_of
from unmask.geometry.frame import EYE_DISTANCE, canonical_transform, move_points
from unmask.geometry.landmarks import COUNT, JAW, eye_centres
from unmask.parallel import ordered_map
from unmask.project import write_whole

_OLDEST = 120  # years
_BEYOND = 0.25  # of the picture's sides: as far as a jaw may lie outside


@dataclass(frozen=True)
class Failure:
    """A face that is left out: its file, what failed (schema, range, picture, landmarks or
    duplicate) and why."""

    file: str
    kind: str
    reason: str


@dataclass(frozen=True)
class Report:
    """What became of a folder's faces; it is refused when `refusals` says why."""

    folder: str
    faces: int
    good: tuple[str, ...]
    failures: tuple[Failure, ...]
    refusals: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        return not self.refusals

    def as_json(self) -> str:
        """All of it, for machines."""
        return json.dumps({"accepted": self.accepted, **asdict(self)}, indent=1) + "\n"

    def as_markdown(self) -> str:
        """The verdict, the counts by kind and a row a failure."""
        lines = [f"# New faces: {self.folder}", ""]
        lines += [f"**Refused:** {reason}" for reason in self.refusals] or ["**Accepted.**"]
        lines += ["", f"{self.faces} faces, {len(self.good)} good, {len(self.failures)} left out"]
        counts = Counter(failure.kind for failure in self.failures)
        lines += ["", *(f"- {kind}: {number}" for kind, number in sorted(counts.items()))]
        if self.failures:
            lines += ["", "| file | what | why |", "|---|---|---|"]
            lines += [
                f"| {f.file} | {f.kind} | {f.reason.replace('|', '/')} |" for f in self.failures
            ]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write report.md, and report.json last, so that where it is all is."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.md", self.as_markdown()), ("report.json", self.as_json())):
            write_whole(folder / name, text.encode())


@cache
def _mean_shape() -> np.ndarray:
    """(68, 2) landmarks of the mean face, in units of the frame."""
    return AppearanceModel.load(EMBEDDED).shape.mean.reshape(COUNT, 2)


def shape_error(landmarks: np.ndarray) -> float:
    """RMS distance of landmarks (68, 2) from the mean face's, with the same eyes, in eye distances.

    Raises:
        ValueError: when both eyes lie at one point.
    """
    placed = [
        move_points(points.astype(np.float64), canonical_transform(points, 1))
        for points in (landmarks, _mean_shape())
    ]
    squares = ((placed[0] - placed[1]) ** 2).sum(axis=1)
    return float(np.sqrt(squares.mean()) / EYE_DISTANCE)


def _misplaced(landmarks: np.ndarray, height: int, width: int, rules: NewData) -> str | None:
    """Why landmarks cannot be those of a face in a picture, or None."""
    apart = float(np.hypot(*np.subtract(*eye_centres(landmarks))))
    if apart < rules.eye_distance:
        return f"the eyes lie {apart:.1f} pixels apart, at least {rules.eye_distance:g} wanted"
    sides = np.array([width, height])
    inner = np.delete(landmarks, np.r_[JAW], axis=0)
    if ((inner < 0) | (inner > sides - 1)).any():
        return "a landmark of brows, nose, eyes or mouth lies outside the picture"
    if ((landmarks < -_BEYOND * sides) | (landmarks > (1 + _BEYOND) * sides)).any():
        return "a landmark of the jaw lies far outside the picture"
    error = shape_error(landmarks)
    if error > rules.shape_error:
        return f"the landmarks are no face's: {error:.2f} from it, at most {rules.shape_error:g}"
    return None


def _seen(item: AnnotatedPicture, rules: NewData, size: int) -> int | Failure:
    """The picture's hash, or why it cannot be used."""
    file = item.id.split("/", 2)[2]
    if item.age is not None and not 0 <= item.age <= _OLDEST:
        return Failure(file, "range", f"age {item.age}, 0 to {_OLDEST} wanted")
    try:
        face = item.read()
    except UnreadableImage as error:
        return Failure(file, "picture", str(error))
    if reason := _misplaced(face.landmarks, *face.image.shape[:2], rules):
        return Failure(file, "landmarks", reason)
    return picture_hash(framed(face, size).image)


def _hash(item: Item, size: int) -> int | None:
    try:
        return picture_hash(framed(item.read(), size).image)
    except (UnreadableImage, ValueError):
        return None


def known_faces(params: Params, root: Path) -> dict[str, int]:
    """Ids and hashes of the pictures in the sources that params name.

    Args:
        root: the folder of params.yaml.

    Raises:
        SourceError: for a source that cannot be used.
    """
    items = [
        item
        for source in params.faces.sources
        if source.path is not None
        for item in items_of(source, root, params.seed, params.image_size)
    ]
    hashes = ordered_map(partial(_hash, size=params.image_size), items, params.faces.workers)
    return {i.id: value for i, value in zip(items, hashes, strict=True) if value is not None}


def _readable(folder: Path, rows: Iterable[dict]) -> tuple[list[AnnotatedPicture], list[Failure]]:
    items, failures, files = [], [], set()
    for row in rows:
        name = str(row["file"])
        try:
            item = annotated_picture(row, folder, "folder")
        except SourceError as error:
            failures.append(Failure(name, "schema", str(error)))
            continue
        if folder.resolve() not in item.path.resolve().parents:
            failures.append(Failure(name, "schema", "the file lies outside the folder"))
        elif item.path in files:
            failures.append(Failure(name, "duplicate", "the file has a row already"))
        else:
            files.add(item.path)
            items.append(item)
    return items, failures


def _repeating(
    items: Sequence[AnnotatedPicture], hashes: Sequence[int], known: dict[str, int]
) -> dict[int, str]:
    """Index of each picture that repeats one before it or a known one, and the id of that."""
    ids = [*known, *(item.id for item in items)]
    values = np.array([*known.values(), *hashes], np.uint64)
    gone: dict[int, str] = {}
    for index, value in enumerate(hashes):
        first = near_duplicates(value, values[: len(known) + index])
        if len(first):
            gone[index] = ids[first[0]]
    return gone


def judge_faces(folder: Path, params: Params, known: dict[str, int]) -> Report:
    """Judge a folder of new annotated faces.

    Args:
        folder: laid out as for the source `folder`.
        params: whose `loop.new_data` says what is asked for.
        known: ids and hashes of the pictures that are there already.

    Returns:
        What became of each face, and why the folder is refused if it is.
    """
    rules = params.loop.new_data
    try:
        rows = annotation_rows(folder)
    except SourceError as error:
        return Report(folder.name, 0, (), (), (str(error),))
    items, failures = _readable(folder, rows)
    look = partial(_seen, rules=rules, size=params.image_size)
    seen = list(ordered_map(look, items, params.faces.workers))
    failures += [answer for answer in seen if isinstance(answer, Failure)]
    whole = [(i, a) for i, a in zip(items, seen, strict=True) if not isinstance(a, Failure)]
    items, hashes = [i for i, _ in whole], [value for _, value in whole]
    gone = _repeating(items, hashes, known)
    names = [str(item.path.relative_to(folder)) for item in items]
    failures += [Failure(names[i], "duplicate", f"repeats {what}") for i, what in gone.items()]
    good = tuple(name for index, name in enumerate(names) if index not in gone)
    refusals = []
    share = len(failures) / len(rows)
    if share > rules.failures:
        refusals.append(
            f"{len(failures)} of {len(rows)} faces fail ({share:.0%}), at most "
            f"{rules.failures:.0%} may"
        )
    if len(good) < rules.minimum:
        refusals.append(f"{len(good)} good faces, at least {rules.minimum} wanted")
    return Report(folder.name, len(rows), good, tuple(failures), tuple(refusals))
