"""Flow `restore`: restores a folder of pictures, with JSON answers, a sheet and a report."""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from prefect import flow, get_run_logger, task

from flows.reports import table_row

_LISTED, _SHOWN = 1000, 24  # photos in the report, and on its sheet


@task
def restore_pictures(
    folder: str,
    out: str,
    model: str | None,
    crop: bool,
    recursive: bool,
    skip_existing: bool,
    cluster: str | None,
) -> dict:
    """Restore every picture of a folder.

    Args:
        folder: of the pictures, or its URL in a bucket.
        out: the folder to write into, with manifest.parquet; or its URL.
        model: URI of a registered model; None takes the champion, else the released weights.
        crop: whether each picture shows one face, so that no face is searched for.
        recursive: whether the pictures of subfolders are taken too.
        skip_existing: whether those are left whose answer is there, by their bytes.
        cluster: that restores, see params.yaml's `cluster`, which is the default.

    Returns:
        `photos`, their number; `faces`, numbers by status; `rows`, of the first 1,000 photos, those
        before that failed or have a reason: `file`, `statuses` of its faces or 'error', `reasons`;
        `sheet`, the first 24 restored pictures, each as the files before and after.
    """
    from unmask.config.cluster import cluster_of
    from unmask.inference.answers import Outputs
    from unmask.inference.files import restore_files
    from unmask.inference.image_file import Writing
    from unmask.inference.inputs import Inputs
    from unmask.inference.manifest import writing_manifest
    from unmask.inference.photo import stored_restorer
    from unmask.inference.results import RestoreOptions
    from unmask.networks import trained_on
    from unmask.parallel import with_progress
    from unmask.project import located
    from unmask.registry.loading import find_networks

    files, target = Inputs([located(folder)], recursive=recursive), located(out)
    networks, name = find_networks(model)
    print(f"{name}, {trained_on(networks)}")
    restorer, workers = stored_restorer(networks, len(files.first))
    counts: Counter[str] = Counter()
    telling: list[dict] = []  # of the photos that failed or have a reason
    others: list[dict] = []
    sheet: list[tuple[str, str]] = []
    photos = 0
    with writing_manifest(target / "manifest.parquet") as manifest:
        answers = restore_files(
            files,
            target,
            restorer,
            name,
            outputs=Outputs(Writing.parse(), save_masks=True),
            options=RestoreOptions(crop=crop),
            skip_existing=skip_existing,
            workers=workers,
            cluster=cluster_of(cluster),
        )
        for answer in with_progress(answers, None, "photos"):
            photos += 1
            manifest.add(answer)
            statuses = [face["status"] for face in answer.faces] or ["error"]
            counts.update(statuses)
            reasons = [face["reason"] for face in answer.faces if face["reason"]]
            reasons += [*([answer.error] if answer.error else []), *answer.warnings]
            rows = telling if reasons else others
            if len(rows) < _LISTED:
                rows.append({"file": str(answer.source), "statuses": statuses, "reasons": reasons})
            if "restored" in statuses and len(sheet) < _SHOWN:
                sheet.append((str(answer.source), str(answer.picture)))
    if left_out := files.left_out_sentence:
        print(left_out)
    rows = [*telling, *others][:_LISTED]
    return {"photos": photos, "faces": dict(counts), "rows": rows, "sheet": sheet}


@task
def write_report(restored: dict, out: str) -> Path:
    """Write OUT/report/index.md and, beside it, sheet.png of the first 24 restored pictures."""
    from unmask.inference.pictures import encode_picture
    from unmask.project import located, write_whole
    from unmask.sheets import before_after

    rows, folder = restored["rows"], located(out) / "report"
    lines = ["# Restored pictures", "", f"{restored['photos']} pictures, whose faces were", ""]
    lines += [f"- {status}: {number}" for status, number in sorted(restored["faces"].items())]
    lines += [""]
    folder.mkdir(exist_ok=True)
    if restored["sheet"]:
        pictures = [(_read(before), _read(after)) for before, after in restored["sheet"]]
        write_whole(folder / "sheet.png", encode_picture(before_after(pictures)))
        lines += ["![masked above, restored below](sheet.png)", ""]
    lines += ["| file | faces | reasons |", "|---|---|---|"]
    lines += [
        table_row(Path(row["file"]).name, ", ".join(row["statuses"]), "; ".join(row["reasons"]))
        for row in rows
    ]
    if (more := restored["photos"] - len(rows)) > 0:
        lines += ["", f"and {more} more, in manifest.parquet"]
    report = folder / "index.md"
    write_whole(report, ("\n".join(lines) + "\n").encode())
    return report


def _read(file: str) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB in a file."""
    from unmask.inference.pictures import decode_picture
    from unmask.project import located

    return decode_picture(located(file).read_bytes(), file)


@flow(name="restore", log_prints=True)
def restore(
    folder: str,
    out: str,
    model: str | None = None,
    crop: bool = False,
    recursive: bool = False,
    skip_existing: bool = False,
    cluster: str | None = None,
) -> Path:
    """Restore a folder of photos.

    Args:
        folder: of the pictures, or its URL in a bucket.
        out: the folder to write into, or its URL.
        model: URI of a registered model; None takes the champion, else the released weights.
        crop: whether each picture shows one face, so that no face is searched for.
        recursive: whether the pictures of subfolders are taken too.
        skip_existing: whether those are left whose answer is there, by their bytes.
        cluster: that restores, see params.yaml's `cluster`, which is the default.

    Returns:
        The report's file.
    """
    restored = restore_pictures(folder, out, model, crop, recursive, skip_existing, cluster)
    report = write_report(restored, out)
    get_run_logger().info(f"{restored['photos']} pictures, see {report}")
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("-o", "--out", required=True)
    parser.add_argument("--model", help="default: the champion, else the released weights")
    parser.add_argument("--crop", action="store_true", help="each picture shows one face")
    parser.add_argument("--recursive", action="store_true", help="take those of subfolders too")
    parser.add_argument("--skip-existing", action="store_true", help="leave what is restored")
    parser.add_argument("--cluster", help="default: params.yaml's")
    asked = parser.parse_args()
    restore(**vars(asked))
