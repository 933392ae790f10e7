"""Flow `restore`: a folder of pictures in; restored faces, JSON, a sheet and a report out."""

import argparse
from pathlib import Path

from prefect import flow, get_run_logger, task

MODEL = "models:/unmask@champion"


@task
def restore_pictures(folder: Path, out: Path, model: str, crop: bool) -> list[dict]:
    """Restore every picture of a folder.

    Returns:
        A row a picture: file, statuses and reason or error.
    """
    from unmask.registry.versions import load_chain
    from unmask.restore.files import inputs_of, restore_files
    from unmask.restore.photo import restorer_of

    files = inputs_of([folder])
    chain, name = load_chain(model)
    rows = []
    restorer = restorer_of(chain, crop=crop)
    for answer in restore_files(files, out, restorer.restore, name, save_masks=True):
        status = answer.faces[0]["status"] if answer.faces else "error"
        reason = answer.error or (answer.faces[0]["reason"] if answer.faces else "")
        rows.append({"file": str(answer.source), "status": status, "reason": reason})
    return rows


@task
def write_report(rows: list[dict], out: Path) -> Path:
    """Write OUT/report/index.md and, of the first 24 restored pictures, sheet.png there."""
    from unmask.restore.sheet import before_after_sheet

    done = [row["file"] for row in rows if row["status"] == "restored"]
    counts = {s: sum(r["status"] == s for r in rows) for s in {r["status"] for r in rows}}
    lines = ["# Restored pictures", "", *(f"- {s}: {n}" for s, n in sorted(counts.items())), ""]
    folder = out / "report"
    folder.mkdir(exist_ok=True)
    if done:
        before_after_sheet([Path(f) for f in done[:24]], out, folder / "sheet.png")
        lines += ["![masked above, restored below](sheet.png)", ""]
    lines += ["| file | status | reason |", "|---|---|---|"]
    lines += [f"| {Path(r['file']).name} | {r['status']} | {r['reason']} |" for r in rows]
    report = folder / "index.md"
    report.write_text("\n".join(lines) + "\n")
    return report


@flow(name="restore", log_prints=True)
def restore(folder: Path, out: Path, model: str = MODEL, crop: bool = False) -> Path:
    """Restore a folder of photos.

    Args:
        folder: of pictures.
        out: folder to write into.
        model: URI of the registered model.
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
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--crop", action="store_true", help="each picture shows one face")
    given = parser.parse_args()
    restore(given.folder, given.out, given.model, given.crop)
