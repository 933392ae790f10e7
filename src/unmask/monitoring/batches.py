"""Batches of face summaries on disk: one Parquet file per batch."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unmask.config.params import NUMBERS
from unmask.errors import UnmaskError
from unmask.monitoring.summaries import Row
from unmask.project import md5_of, write_whole

#: Under the project's root.
BATCHES = Path(".unmask/batches")
SCHEMA = pa.schema(
    [("model", pa.string()), ("status", pa.string())]
    + [(name, pa.float32()) for name in NUMBERS if name != "embedding"]
    + [("embedding", pa.list_(pa.float32()))]
)


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet file so that it appears complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    write_whole(path, content.getvalue().to_pybytes())


def write_batch(rows: list[Row], folder: Path, name: str) -> Path:
    """Write one batch as FOLDER/NAME.parquet, replacing an earlier one of that name.

    Args:
        rows: as `summarise` makes them.
        folder: of the batches.
        name: of the batch, without a suffix.

    Returns:
        The file.
    """
    path = folder / f"{name}.parquet"
    write_table(pa.Table.from_pylist(rows, SCHEMA), path)
    return path


def batches_in(folder: Path) -> dict[str, str]:
    """The md5 of each batch in a folder, by file name, in the order of the names."""
    return {path.name: md5_of([path]) for path in sorted(folder.glob("[!.]*.parquet"))}


def read_batches(folder: Path, names: list[str]) -> pd.DataFrame:
    """The rows of several batches.

    Raises:
        UnmaskError: naming a file that `write_batch` did not write.
    """
    tables = []
    for name in names:
        try:
            tables.append(pq.read_table(folder / name, schema=SCHEMA))
        except (pa.ArrowException, OSError) as error:
            raise UnmaskError(
                f"{folder / name} is no batch of summaries ({str(error).splitlines()[0]}): "
                "move it away."
            ) from error
    return pa.concat_tables([SCHEMA.empty_table(), *tables]).to_pandas()
