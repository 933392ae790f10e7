"""Faces on disk: sharded Parquet with losslessly encoded images.

One row is one face; a masked data set adds the list column `variants`. Row groups hold at most 256
rows, so that pandas, Arrow, DuckDB and Hugging Face `datasets` can read parts of a file.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unmask.project import whole_folder

ROW_GROUP = 256

VARIANT_FIELDS = [
    ("masked", pa.binary()),
    ("mask", pa.binary()),
    ("occluded", pa.binary()),
    ("mask_type", pa.string()),
    ("fabric", pa.string()),
    ("wear", pa.string()),
    ("yaw", pa.float32()),
]
FACE_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("split", pa.string()),
        ("identity", pa.string()),
        ("gender", pa.string()),
        ("age", pa.int32()),
        ("ethnicity", pa.string()),
        ("scale", pa.float32()),
        ("weight", pa.float32()),
        ("landmarks", pa.list_(pa.float32(), 136)),
        ("image", pa.binary()),
        ("valid", pa.binary()),
    ]
)
MASKED_SCHEMA = FACE_SCHEMA.append(pa.field("variants", pa.list_(pa.struct(VARIANT_FIELDS))))


class ShardWriter:
    """Appends rows to the files `<split>-<number>.parquet` of a folder."""

    def __init__(self, folder: Path, schema: pa.Schema, shard_rows: int) -> None:
        """Start with no shards.

        Args:
            folder: an existing folder.
            schema: of every row.
            shard_rows: maximum number of rows per file.
        """
        self._folder, self._schema, self._shard_rows = folder, schema, shard_rows
        self._pending: dict[str, list[dict]] = {}
        self._numbers: dict[str, int] = {}

    def add(self, row: dict) -> None:
        """Append one row to the split named in its column `split`."""
        pending = self._pending.setdefault(row["split"], [])
        pending.append(row)
        if len(pending) == self._shard_rows:
            self._flush(row["split"])

    def _flush(self, split: str) -> None:
        rows = self._pending.pop(split, [])
        if rows:
            number = self._numbers.get(split, 0)
            self._numbers[split] = number + 1
            pq.write_table(
                pa.Table.from_pylist(rows, self._schema),
                self._folder / f"{split}-{number:05d}.parquet",
                row_group_size=ROW_GROUP,
                compression="none",  # the images are compressed already
            )

    def close(self) -> None:
        """Write the rows that fill no shard yet."""
        for split in list(self._pending):
            self._flush(split)


@contextmanager
def new_shards(folder: Path, schema: pa.Schema, shard_rows: int) -> Iterator[ShardWriter]:
    """Write shards into a new folder, which appears only if no error occurs.

    Args:
        folder: replaced if it exists.
        schema: of every row.
        shard_rows: maximum number of rows per file.

    Yields:
        The writer that takes the rows.
    """
    with whole_folder(folder) as partial:
        writer = ShardWriter(partial, schema, shard_rows)
        yield writer
        writer.close()


def shards_of(folder: Path, split: str) -> list[Path]:
    """The shard files of a split, in order."""
    return sorted(folder.glob(f"{split}-*.parquet"))


def read_rows(shards: list[Path]) -> Iterator[dict]:
    """The rows of shard files, in order."""
    for shard in shards:
        with pq.ParquetFile(shard) as file:
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group).to_pylist()


def count_rows(shards: list[Path]) -> int:
    """Total number of rows of shard files."""
    return sum(pq.read_metadata(shard).num_rows for shard in shards)
