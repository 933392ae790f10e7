"""The manifest of a batch: one Parquet file with a row per photo, as DuckDB and pandas read it."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from unmask.errors import UnmaskError, readable
from unmask.inference.files import FileAnswer
from unmask.project import is_url

_ROWS = 4096  # that are kept in memory


class Manifest:
    """Takes the answers of a batch in order; made by `writing_manifest`.

    Columns: `input` and `output`, the paths; `sha256` of the input's bytes; `status`, 'restored',
    'unchanged' where no face was restored, or 'failed'; `reason` in words; `faces`, their number,
    of which `restored` and `skipped`; `before`, whether an earlier run restored it; `seconds`, with
    reading and writing; `model`.
    """

    def __init__(self, file: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema: pa.Schema = pa.schema(
            {
                **dict.fromkeys(("input", "sha256", "output", "status", "reason"), pa.string()),
                **dict.fromkeys(("faces", "restored", "skipped"), pa.int32()),
                "before": pa.bool_(),
                "seconds": pa.float32(),
                "model": pa.string(),
            }
        )
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[dict] = []

    def add(self, answer: FileAnswer) -> None:
        """Add a photo's row."""
        counts = Counter(face["status"] for face in answer.faces)
        reasons = (face["reason"] for face in answer.faces if face["reason"])
        status = "failed" if answer.error else "restored" if counts["restored"] else "unchanged"
        self._rows.append(
            {
                "input": readable(str(answer.source)),
                "sha256": answer.sha256 or None,
                "output": readable(str(answer.picture)) if answer.picture else None,
                "status": status,
                "reason": readable(answer.error or "; ".join(reasons)) or None,
                "faces": len(answer.faces),
                "restored": counts["restored"],
                "skipped": counts["skipped"],
                "before": answer.existing,
                "seconds": answer.seconds,
                "model": answer.model,
            }
        )
        if len(self._rows) == _ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()

    def close(self) -> None:
        """Write the last rows."""
        self._flush()
        self._writer.close()


@contextmanager
def writing_manifest(file: Path) -> Iterator[Manifest]:
    """Write a manifest that appears, or replaces the old one, when the body succeeds.

    Args:
        file: of Parquet, on disk or in a bucket.

    Raises:
        UnmaskError: when it names a folder.
    """
    if not file.name or file.is_dir():
        raise UnmaskError(f"{file} is a folder: name the manifest's file, e.g. manifest.parquet.")
    with ExitStack() as stack:
        if is_url(file):
            partial = Path(stack.enter_context(TemporaryDirectory())) / file.name
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial = file.with_name(f".{file.name}.partial")
            stack.callback(partial.unlink, missing_ok=True)
        manifest = Manifest(partial)
        try:
            yield manifest
        finally:
            manifest.close()
        if is_url(file):
            file.fs.put_file(str(partial), file.path)  # type: ignore[attr-defined]
        else:
            os.replace(partial, file)
