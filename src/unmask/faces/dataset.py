"""The data set of framed faces, from every source, by split."""

import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from unmask.config.params import Params, Source
from unmask.datasets.png import encode_image
from unmask.datasets.shards import FACE_SCHEMA
from unmask.datasets.writing import write_rows
from unmask.faces.duplicates import cross_split_duplicates, picture_hash
from unmask.faces.folder import UnreadableImage
from unmask.faces.records import Face, framed
from unmask.faces.sources import Item, SourceError, items_of, path_of
from unmask.faces.synthetic import Sampled
from unmask.parallel import ordered_map, with_progress
from unmask.project import is_url


def row_of(face: Face, weight: float = 1.0) -> dict:
    """A face as a row of FACE_SCHEMA; training samples it in proportion to `weight`."""
    return {
        "id": face.id,
        "source": face.source,
        "split": face.split,
        "identity": face.identity,
        "gender": face.gender,
        "age": face.age,
        "ethnicity": face.ethnicity,
        "scale": face.scale,
        "weight": weight,
        "landmarks": face.landmarks.ravel(),
        "image": encode_image(face.image),
        "valid": encode_image(face.valid),
    }


def _read_face(item_and_source: tuple[Item, Source], size: int) -> tuple[dict, int | None] | str:
    """The face's row and, of a photo, its hash; or one sentence that says why it is left out."""
    item, source = item_and_source
    try:
        face = framed(item.read(), size)
        row = row_of(replace(face, scale=face.scale * source.resolution), source.weight)
    except UnreadableImage as error:
        return str(error)
    except ValueError as error:
        return f"{item.id}: {error}"
    return row, None if isinstance(item, Sampled) else picture_hash(face.image)


def _read_photos(
    photos: dict[Item, Source], params: Params, folders: list[Path], rows: BinaryIO
) -> list[dict]:
    """Read, frame and hash every photo once.

    Args:
        photos: each with its source.
        params: of the project.
        folders: of the sources on disk.
        rows: a file that takes each photo's row, or why it is left out, in order.

    Returns:
        `id`, `hash` and `split` of each photo that could be read.
    """
    results = ordered_map(
        partial(_read_face, size=params.image_size),
        photos.items(),
        params.faces.workers,
        cluster=params.cluster,
        reads=folders,
    )
    readable: list[dict] = []
    for result in with_progress(results, len(photos), "photos"):
        row, value = (result, None) if isinstance(result, str) else result
        pickle.dump(row, rows)
        if not isinstance(row, str):
            readable.append({"id": row["id"], "hash": value, "split": row["split"]})
    rows.seek(0)
    return readable


def _near_duplicates(readable: list[dict]) -> dict[str, str]:
    """One sentence for each photo that is left out as a near-duplicate in another split, by id."""
    ids, hashes, splits = (
        [photo[column] for photo in readable] for column in ("id", "hash", "split")
    )
    return {
        ids[repeated]: f"{ids[repeated]}: repeats {ids[kept]} of split {splits[kept]}"
        for repeated, kept in cross_split_duplicates(hashes, splits).items()
    }


def _rows(
    source_of: dict[Item, Source], params: Params, photo_rows: BinaryIO
) -> Iterator[tuple[str, dict | str]]:
    """Id and row of every face, or id and why it is left out, in order.

    The rows of photos are those that `_read_photos` wrote; synthetic faces are sampled now.
    """
    synthetic = [pair for pair in source_of.items() if isinstance(pair[0], Sampled)]
    sampled = ordered_map(
        partial(_read_face, size=params.image_size),
        synthetic,
        params.faces.workers,
        cluster=params.cluster,
    )
    for item in source_of:
        if isinstance(item, Sampled):
            result = next(sampled)
            yield item.id, result if isinstance(result, str) else result[0]
        else:
            yield item.id, pickle.load(photo_rows)


def make(params: Params, data: Path) -> list[str]:
    """Write the framed faces of all sources to DATA/faces.

    All photos are read before any is written, since only then near-duplicates are known; meanwhile
    their rows are kept in a temporary file.

    Args:
        params: of the project.
        data: the project's data folder; paths of sources are relative to its parent.

    Returns:
        One sentence for each picture left out.

    Raises:
        SourceError: for a source that cannot be used, or when no face can be read.
    """
    root, tracked = data.parent, (data / "sources").resolve()
    paths = [path_of(source, root) for source in params.faces.sources if source.path]
    folders = [path for path in paths if not is_url(path)]
    for path in paths:
        if path not in folders or tracked not in path.resolve().parents:
            print(
                f"note: {path} lies outside data/sources, so DVC does not see when it "
                "changes; then run `dvc repro --force faces`.",
                flush=True,
            )
    source_of = {
        item: source
        for source in params.faces.sources
        for item in items_of(source, root, params.seed, params.image_size)
    }
    photos = {i: source for i, source in source_of.items() if not isinstance(i, Sampled)}
    data.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=data) as photo_rows:
        readable = _read_photos(photos, params, folders, photo_rows) if photos else []
        duplicates = _near_duplicates(readable)
        failures = list(duplicates.values())
        for failure in failures:
            print(f"left out: {failure}", flush=True)
        every = _rows(source_of, params, photo_rows)
        rows = (row for face_id, row in every if face_id not in duplicates)
        failures += write_rows(
            rows,
            len(source_of) - len(duplicates),
            data / "faces",
            FACE_SCHEMA,
            params.faces.shard_rows,
            SourceError("no face could be read from any source: see the reasons above."),
        )
    return failures
