"""Flow `restore`: a folder of pictures in; restored faces, JSON, a sheet and a report out."""

import argparse
from collections import Counter
from pathlib import Path

from prefect import flow, get_run_logger, task


@task
def restore_pictures(folder: Path, out: Path, model: str | None, crop: bool) -> list[dict]:
    """Restore every picture of a folder.

    Returns:
        A row a picture: file, the status of each face or `error`, and the reasons.
    """
    from unmask.inference.files import inputs_of, restore_files
    from unmask.inference.photo import restorer_of
    from unmask.registry.loading import load_chain

    files = inputs_of([folder])
    chain, name = load_chain(model)
    rows = []
    restorer = restorer_of(chain, crop=crop)
    for answer in restore_files(files, out, restorer.restore, name, save_masks=True):
        statuses = [face["status"] for face in answer.faces] or ["error"]
        reasons = [face["reason"] for face in answer.faces if face["reason"]] or [answer.error]
        rows.append({"file": str(answer.source), "statuses": statuses, "reasons": reasons})
    return rows


@task
def write_report(rows: list[dict], out: Path) -> Path:
    """Write OUT/report/index.md and, of the first 24 restored pictures, sheet.png there."""
    from unmask.inference.pictures import decode_picture, encode_picture
    from unmask.sheets import before_after

    done = [row["file"] for row in rows if "restored" in row["statuses"]]
    counts = Counter(status for row in rows for status in row["statuses"])
    lines = ["# Restored pictures", "", f"{len(rows)} pictures, whose faces were", ""]
    lines += [*(f"- {status}: {number}" for status, number in sorted(counts.items())), ""]
    folder = out / "report"
    folder.mkdir(exist_ok=True)
    if done:
        pairs = [(Path(file), out / f"{Path(file).stem}.png") for file in done[:24]]
        shown = [[decode_picture(f.read_bytes(), str(f)) for f in pair] for pair in pairs]
        (folder / "sheet.png").write_bytes(encode_picture(before_after(shown)))
        lines += ["![masked above, restored below](sheet.png)", ""]
    lines += ["| file | faces | reasons |", "|---|---|---|"]
    lines += [
        f"| {Path(row['file']).name} | {', '.join(row['statuses'])} | {'; '.join(row['reasons'])} |"
        for row in rows
    ]
    report = folder / "index.md"
    report.write_text("\n".join(lines) + "\n")
    return report


@flow(name="restore", log_prints=True)
def restore(folder: Path, out: Path, model: str | None = None, crop: bool = False) -> Path:
    """Restore a folder of photos.

    Args:
        folder: of pictures.
        out: folder to write into.
        model: URI of the registered model; by default the champion, else the released weights.
        crop: each picture shows one face.

    Returns:
        The report.
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
    given = parser.parse_args()
    restore(given.folder, given.out, given.model, given.crop)
