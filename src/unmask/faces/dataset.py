"""Stage `faces`: reads every source, frames its faces, and writes them by split."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from unmask.config.params import Params, Source
from unmask.datasets.png import encode_image
from unmask.datasets.shards import FACE_SCHEMA, new_shards
from unmask.faces.duplicates import cross_split_duplicates, picture_hash
from unmask.faces.folder import UnreadableImage
from unmask.faces.records import Face, framed
from unmask.faces.sources import Item, SourceError, items_of
from unmask.faces.synthetic import Sampled
from unmask.parallel import ordered_map, with_progress


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


def _framed_row(item_and_source: tuple[Item, Source], size: int) -> dict | str:
    """A row of FACE_SCHEMA, or one sentence that says why the face is left out."""
    item, source = item_and_source
    try:
        face = framed(item.read(), size)
        return row_of(replace(face, scale=face.scale * source.resolution), source.weight)
    except UnreadableImage as error:
        return str(error)
    except ValueError as error:
        return f"{item.id}: {error}"


def _hash_and_split(item: Item, size: int) -> tuple[int, str] | None:
    """Hash and split of a face; None where it cannot be read, which `_framed_row` reports."""
    try:
        face = framed(item.read(), size)
    except (UnreadableImage, ValueError):
        return None
    return picture_hash(face.image), face.split


def _without_cross_split_duplicates(
    items: list[Item], size: int, workers: int
) -> tuple[list[Item], list[str]]:
    """The items that are kept, and one sentence for each near-duplicate that is left out."""
    photos = [item for item in items if not isinstance(item, Sampled)]
    if not photos:
        return items, []
    found = ordered_map(partial(_hash_and_split, size=size), photos, workers)
    readable = [
        (item.id, *hash_and_split)
        for item, hash_and_split in zip(
            photos, with_progress(found, len(photos), "hashes"), strict=True
        )
        if hash_and_split is not None
    ]
    ids, hashes, splits = zip(*readable, strict=True) if readable else ((), (), ())
    reasons = {
        ids[repeated]: f"{ids[repeated]}: repeats {ids[kept]} of split {splits[kept]}"
        for repeated, kept in cross_split_duplicates(hashes, splits).items()
    }
    return [item for item in items if item.id not in reasons], list(reasons.values())


def make(params: Params, data: Path) -> list[str]:
    """Write the framed faces of all sources to DATA/faces.

    Args:
        params: of the project.
        data: the project's data folder; paths of sources are relative to its parent.

    Returns:
        One sentence for each picture left out.

    Raises:
        SourceError: for a source that cannot be used, or when no face can be read.
    """
    tracked = (data / "sources").resolve()
    for source in params.faces.sources:
        if source.path and tracked not in (data.parent / source.path).resolve().parents:
            print(
                f"note: {source.path} lies outside data/sources, so DVC does not see when it "
                "changes; then run `dvc repro --force faces`.",
                flush=True,
            )
    source_of = {
        item: source
        for source in params.faces.sources
        for item in items_of(source, data.parent, params.seed, params.image_size)
    }
    items, failures = _without_cross_split_duplicates(
        list(source_of), params.image_size, params.faces.workers
    )
    for failure in failures:
        print(f"left out: {failure}", flush=True)
    written = 0
    rows = ordered_map(
        partial(_framed_row, size=params.image_size),
        [(item, source_of[item]) for item in items],
        params.faces.workers,
    )
    with new_shards(data / "faces", FACE_SCHEMA, params.faces.shard_rows) as shards:
        for row in with_progress(rows, len(items), "faces"):
            if isinstance(row, str):
                failures.append(row)
                print(f"left out: {row}", flush=True)
            else:
                shards.add(row)
                written += 1
        if written == 0:
            raise SourceError("no face could be read from any source: see the reasons above.")
    return failures
