"""Faces on disk: sharded Parquet with losslessly encoded images.

One row is one face; a masked data set adds the list column `variants` to it. Row groups hold at
most 256 rows, so that pandas, Arrow, DuckDB and Hugging Face `datasets` read parts cheaply.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
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


def encode_image(image: np.ndarray) -> bytes:
    """PNG bytes of an RGB uint8 (H, W, 3) or bool (H, W) array."""
    if image.dtype == bool:
        pixels = image.astype(np.uint8) * 255
        options = [cv2.IMWRITE_PNG_BILEVEL, 1]
    else:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    return cv2.imencode(".png", pixels, options)[1].tobytes()


def decode_image(png: bytes) -> np.ndarray:
    """RGB uint8 (H, W, 3) from `encode_image`'s bytes."""
    return cv2.cvtColor(
        cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )


def decode_mask(png: bytes) -> np.ndarray:
    """Bool (H, W) from `encode_image`'s bytes."""
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE) > 127


class ShardWriter:
    """Appends rows to `<split>-<number>.parquet` files of a folder."""

    def __init__(self, folder: Path, schema: pa.Schema, shard_rows: int) -> None:
        self._folder, self._schema, self._shard_rows = folder, schema, shard_rows
        self._pending: dict[str, list[dict]] = {}
        self._numbers: dict[str, int] = {}

    def add(self, row: dict) -> None:
        """Append one row to the split that the row names."""
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
        """Write what is pending."""
        for split in list(self._pending):
            self._flush(split)


@contextmanager
def new_shards(folder: Path, schema: pa.Schema, shard_rows: int) -> Iterator[ShardWriter]:
    """A writer whose folder appears whole at the end, or, after an error, not at all."""
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
    """How many rows shard files hold."""
    return sum(pq.read_metadata(shard).num_rows for shard in shards)
