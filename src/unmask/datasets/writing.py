"""Writing a data set row by row, some of which are left out."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from unmask.datasets.shards import new_shards
from unmask.errors import UnmaskError
from unmask.parallel import with_progress


def write_rows(
    rows: Iterable[dict | str],
    total: int,
    folder: Path,
    schema: pa.Schema,
    shard_rows: int,
    empty: UnmaskError,
) -> list[str]:
    """Write a data set whole or not at all; prints the progress and who is left out.

    Args:
        rows: of the schema, or a sentence in place of each that is left out.
        total: their number.
        folder: of the data set.
        schema: FACE_SCHEMA or MASKED_SCHEMA.
        shard_rows: rows per file.
        empty: raised when no row is left.

    Returns:
        The sentences.
    """
    failures, written = [], 0
    with new_shards(folder, schema, shard_rows) as shards:
        for row in with_progress(rows, total, folder.name):
            if isinstance(row, str):
                failures.append(row)
                print(f"left out: {row}", flush=True)
            else:
                shards.add(row)
                written += 1
        if written == 0:
            raise empty
    return failures
