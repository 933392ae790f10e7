"""Logs a data set to its MLflow run: counts, digest, faces left out, and a contact sheet."""

from pathlib import Path

import numpy as np

from unmask.datasets.png import decode_image
from unmask.datasets.shards import count_rows, read_rows, shards_of
from unmask.datasets.splits import SPLITS
from unmask.project import md5_of
from unmask.sheets import grid
from unmask.tracking import StageRun

_SHOWN, _COLUMNS = 40, 10  # pictures of the sheet, and per row


def _pictures(folder: Path) -> list[np.ndarray]:
    """The first faces of the training split, masked where the data set has masks."""
    pictures = []
    for _, row in zip(range(_SHOWN), read_rows(shards_of(folder, "train")), strict=False):
        variants = row.get("variants")
        pictures.append(decode_image(variants[0]["masked"] if variants else row["image"]))
    return pictures


def record(run: StageRun, folder: Path, failures: list[str]) -> None:
    """Log a data set.

    Args:
        run: the run of its stage.
        folder: the shards that were written.
        failures: one sentence for each face left out.
    """
    counts = {split: count_rows(shards_of(folder, split)) for split in SPLITS}
    run.metrics({**counts, "left_out": len(failures)})
    run.tag({"unmask.data_md5": md5_of(s for p in SPLITS for s in shards_of(folder, p))})
    if failures:
        run.text("\n".join(failures) + "\n", "left_out.txt")
    shown = _pictures(folder)
    rows = [shown[i : i + _COLUMNS] for i in range(0, len(shown), _COLUMNS)]
    rows = [row for row in rows if len(row) == len(rows[0])]
    if rows:
        run.picture(grid(rows), "sheet.png")
