"""Validation of new annotated faces before they may enter a training."""

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
_JAW_MARGIN = 0.25  # how far the jaw may lie outside the picture, as a share of its sides


@dataclass(frozen=True)
class RejectedFace:
    """A face that is left out; its fields are keys of the JSON report.

    Attributes:
        file: of the picture, relative to the folder.
        kind: what failed: 'schema', 'range', 'picture', 'landmarks' or 'duplicate'.
        reason: a sentence.
    """

    file: str
    kind: str
    reason: str


@dataclass(frozen=True)
class NewFacesReport:
    """The result of validating a folder of faces.

    Attributes:
        folder: its name.
        faces: number of annotated faces in it.
        good: files of the faces that may be used, relative to the folder.
        failures: the faces that may not.
        refusals: why the whole folder is refused, a sentence each; empty when it is accepted.
        hashes: of the good pictures, in their order; no part of the JSON report.
    """

    folder: str
    faces: int
    good: tuple[str, ...]
    failures: tuple[RejectedFace, ...]
    refusals: tuple[str, ...]
    hashes: tuple[int, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the good faces may enter a training."""
        return not self.refusals

    def as_json(self) -> str:
        """The content of report.json: the fields but the hashes, and `accepted`."""
        tree = {"accepted": self.accepted, **asdict(self)}
        del tree["hashes"]
        return json.dumps(tree, indent=1) + "\n"

    def hashes_as(self, folder: str) -> dict[str, int]:
        """Hashes of the good pictures by id, as `known_hashes` gives them of a source `folder`."""
        ids = (f"folder/{folder}/{name}" for name in self.good)
        return dict(zip(ids, self.hashes, strict=True))

    def as_markdown(self) -> str:
        """The content of report.md: the verdict, the counts by kind and a row per failure."""
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
        """Write report.md, then report.json, whose presence says that both are complete."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (("report.md", self.as_markdown()), ("report.json", self.as_json())):
            write_whole(folder / name, text.encode())


@cache
def _mean_shape() -> np.ndarray:
    """(68, 2) landmarks of the embedded face model's mean face, in its own coordinates."""
    return AppearanceModel.load(EMBEDDED).shape.mean.reshape(COUNT, 2)


def shape_error(landmarks: np.ndarray) -> float:
    """How far landmarks are from a face's: RMS distance to those of the mean face.

    Both are aligned by their eyes first, so position, size and rotation do not count.

    Args:
        landmarks: (68, 2) pixels, in iBUG-68 order.

    Returns:
        The distance in eye distances; below 0.3 for 99 % of UTKFace's annotated faces.

    Raises:
        ValueError: when both eyes lie at one point.
    """
    aligned = [
        move_points(points.astype(np.float64), canonical_transform(points, 1))
        for points in (landmarks, _mean_shape())
    ]
    squares = ((aligned[0] - aligned[1]) ** 2).sum(axis=1)
    return float(np.sqrt(squares.mean()) / EYE_DISTANCE)


def _landmark_fault(landmarks: np.ndarray, height: int, width: int, rules: NewData) -> str | None:
    """Why landmarks (68, 2) cannot be a face's in a picture of that size in pixels, or None."""
    apart = float(np.hypot(*np.subtract(*eye_centres(landmarks))))
    if apart < rules.eye_distance:
        return f"the eyes lie {apart:.1f} pixels apart, at least {rules.eye_distance:g} wanted"
    sides = np.array([width, height])
    inner = np.delete(landmarks, np.r_[JAW], axis=0)
    if ((inner < 0) | (inner > sides - 1)).any():
        return "a landmark of brows, nose, eyes or mouth lies outside the picture"
    if ((landmarks < -_JAW_MARGIN * sides) | (landmarks > (1 + _JAW_MARGIN) * sides)).any():
        return "a landmark of the jaw lies far outside the picture"
    error = shape_error(landmarks)
    if error > rules.shape_error:
        return f"the landmarks are no face's: {error:.2f} from it, at most {rules.shape_error:g}"
    return None


def _hash_or_reject(item: AnnotatedPicture, rules: NewData, size: int) -> int | RejectedFace:
    """The perceptual hash of a face's frame of `size` pixels, or why it cannot be used."""
    file = item.id.split("/", 2)[2]
    if item.age is not None and not 0 <= item.age <= _OLDEST:
        return RejectedFace(file, "range", f"age {item.age}, 0 to {_OLDEST} wanted")
    try:
        face = item.read()
    except UnreadableImage as error:
        return RejectedFace(file, "picture", str(error))
    height, width = face.image.shape[:2]
    if reason := _landmark_fault(face.landmarks, height, width, rules):
        return RejectedFace(file, "landmarks", reason)
    return picture_hash(framed(face, size).image)


def _hash_or_none(item: Item, size: int) -> int | None:
    try:
        return picture_hash(framed(item.read(), size).image)
    except (UnreadableImage, ValueError):
        return None


def known_hashes(params: Params, root: Path) -> dict[str, int]:
    """Perceptual hashes, by face id, of the pictures in the sources that params name.

    Args:
        params: the project's.
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
    hashes = ordered_map(
        partial(_hash_or_none, size=params.image_size), items, params.faces.workers
    )
    return {i.id: value for i, value in zip(items, hashes, strict=True) if value is not None}


def _parse_rows(
    folder: Path, rows: Iterable[dict]
) -> tuple[list[AnnotatedPicture], list[RejectedFace]]:
    """The annotation rows that fit the schema, each of a file of its own, and the others."""
    items: list[AnnotatedPicture] = []
    failures: list[RejectedFace] = []
    files: set[Path] = set()
    for row in rows:
        name = str(row["file"])
        try:
            item = annotated_picture(row, folder, "folder")
        except SourceError as error:
            failures.append(RejectedFace(name, "schema", str(error)))
            continue
        if folder.resolve() not in item.path.resolve().parents:
            failures.append(RejectedFace(name, "schema", "the file lies outside the folder"))
        elif item.path in files:
            failures.append(RejectedFace(name, "duplicate", "the file has a row already"))
        else:
            files.add(item.path)
            items.append(item)
    return items, failures


def _duplicates(
    items: Sequence[AnnotatedPicture], hashes: Sequence[int], known: dict[str, int]
) -> dict[int, str]:
    """Index of each picture that nearly repeats an earlier or known one, and the id of that."""
    ids = [*known, *(item.id for item in items)]
    values = np.array([*known.values(), *hashes], np.uint64)
    found: dict[int, str] = {}
    for index, value in enumerate(hashes):
        first = near_duplicates(value, values[: len(known) + index])
        if len(first):
            found[index] = ids[first[0]]
    return found


def judge_faces(folder: Path, params: Params, known: dict[str, int]) -> NewFacesReport:
    """Validate a folder of new annotated faces.

    Args:
        folder: laid out as for the source `folder`.
        params: the project's; `loop.new_data` has the rules.
        known: perceptual hashes, by face id, of the pictures that the project has already.

    Returns:
        The good faces, those that are left out, and why the folder is refused if it is.
    """
    rules = params.loop.new_data
    try:
        rows = annotation_rows(folder)
    except SourceError as error:
        return NewFacesReport(folder.name, 0, (), (), (str(error),))
    items, failures = _parse_rows(folder, rows)
    hash_or_reject = partial(_hash_or_reject, rules=rules, size=params.image_size)
    results = list(ordered_map(hash_or_reject, items, params.faces.workers))
    failures += [result for result in results if isinstance(result, RejectedFace)]
    hashed = [
        (item, result)
        for item, result in zip(items, results, strict=True)
        if not isinstance(result, RejectedFace)
    ]
    items, hashes = [item for item, _ in hashed], [value for _, value in hashed]
    duplicates = _duplicates(items, hashes, known)
    names = [str(item.path.relative_to(folder)) for item in items]
    failures += [
        RejectedFace(names[index], "duplicate", f"repeats {other}")
        for index, other in duplicates.items()
    ]
    kept = [index for index in range(len(names)) if index not in duplicates]
    good = tuple(names[index] for index in kept)
    refusals = []
    share = len(failures) / len(rows)
    if share > rules.failures:
        refusals.append(
            f"{len(failures)} of {len(rows)} faces fail ({share:.0%}), at most "
            f"{rules.failures:.0%} may"
        )
    if len(good) < rules.minimum:
        refusals.append(f"{len(good)} good faces, at least {rules.minimum} wanted")
    return NewFacesReport(
        folder.name,
        len(rows),
        good,
        tuple(failures),
        tuple(refusals),
        tuple(hashes[index] for index in kept),
    )
