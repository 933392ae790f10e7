"""Flow `restore`: restores a folder of pictures, with JSON answers, a sheet and a report."""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from prefect import flow, get_run_logger, task

from flows.reports import table_row


@task
def restore_pictures(folder: Path, out: Path, model: str | None, crop: bool) -> list[dict]:
    """Restore every picture of a folder.

    Args:
        folder: of the pictures.
        out: the folder to write into.
        model: URI of a registered model; None takes the champion, else the released weights.
        crop: whether each picture shows one face, so that no face is searched for.

    Returns:
        A dict per picture: `file`, `statuses` of its faces or 'error', `reasons`, and `restored`,
        the restored picture's file or None.
    """
    from unmask.inference.answers import Outputs
    from unmask.inference.files import restore_files
    from unmask.inference.image_file import Writing
    from unmask.inference.inputs import inputs_of, left_out_sentence
    from unmask.inference.photo import stored_restorer
    from unmask.inference.results import RestoreOptions
    from unmask.networks import trained_on
    from unmask.registry.loading import find_networks

    files, left_out = inputs_of([folder])
    if left_out:
        print(left_out_sentence(left_out))
    networks, name = find_networks(model)
    print(f"{name}, {trained_on(networks)}")
    rows = []
    restorer, workers = stored_restorer(networks, len(files))
    outputs, options = Outputs(Writing.parse(), save_masks=True), RestoreOptions(crop=crop)
    for answer in restore_files(
        files, out, restorer, name, outputs=outputs, options=options, workers=workers
    ):
        statuses = [face["status"] for face in answer.faces] or ["error"]
        reasons = [face["reason"] for face in answer.faces if face["reason"]] or [answer.error]
        reasons += answer.warnings
        row = {"file": str(answer.source), "statuses": statuses, "reasons": reasons}
        rows.append(row | {"restored": str(answer.picture) if answer.picture else None})
    return rows


@task
def write_report(rows: list[dict], out: Path) -> Path:
    """Write OUT/report/index.md and, beside it, sheet.png of the first 24 restored pictures."""
    from unmask.inference.pictures import encode_picture
    from unmask.sheets import before_after

    restored = [row for row in rows if "restored" in row["statuses"]]
    counts = Counter(status for row in rows for status in row["statuses"])
    lines = ["# Restored pictures", "", f"{len(rows)} pictures, whose faces were", ""]
    lines += [*(f"- {status}: {number}" for status, number in sorted(counts.items())), ""]
    folder = out / "report"
    folder.mkdir(exist_ok=True)
    if restored:
        pairs = [(Path(row["file"]), Path(row["restored"])) for row in restored[:24]]
        pictures = [(_read(before), _read(after)) for before, after in pairs]
        (folder / "sheet.png").write_bytes(encode_picture(before_after(pictures)))
        lines += ["![masked above, restored below](sheet.png)", ""]
    lines += ["| file | faces | reasons |", "|---|---|---|"]
    lines += [
        table_row(Path(row["file"]).name, ", ".join(row["statuses"]), "; ".join(row["reasons"]))
        for row in rows
    ]
    report = folder / "index.md"
    report.write_text("\n".join(lines) + "\n")
    return report


def _read(file: Path) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB in a file."""
    from unmask.inference.pictures import decode_picture

    return decode_picture(file.read_bytes(), str(file))


@flow(name="restore", log_prints=True)
def restore(folder: Path, out: Path, model: str | None = None, crop: bool = False) -> Path:
    """Restore a folder of photos.

    Args:
        folder: of the pictures.
        out: the folder to write into.
        model: URI of a registered model; None takes the champion, else the released weights.
        crop: whether each picture shows one face, so that no face is searched for.

    Returns:
        The report's file.
    """
    rows = restore_pictures(folder, out, model, crop)
    report = write_report(rows, out)
    get_run_logger().info(f"{len(rows)} pictures, see {report}")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--model", help="default: the champion, else the released weights")
    parser.add_argument("--crop", action="store_true", help="each picture shows one face")
    arguments = parser.parse_args()
    restore(arguments.folder, arguments.out, arguments.model, arguments.crop)
