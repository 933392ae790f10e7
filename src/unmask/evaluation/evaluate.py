"""Scores models and chain on the test split, write metrics, plots and sheets."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_curve

from unmask.config.params import Params
from unmask.datasets.cache import Split
from unmask.evaluation.baselines import EigenfaceFill, MeanFace, navier_stokes, telea
from unmask.evaluation.evaluation_set import (
    EvaluationSet,
    fill_frames,
    fill_pictures,
    fitting_faces,
)
from unmask.evaluation.measure import Measured, bare_restored, measure_alone, measure_chain
from unmask.evaluation.plots_page import write_plots_page
from unmask.evaluation.scores import TrueFaces
from unmask.evaluation.slices import SLICE_COLUMNS, slice_table
from unmask.inference.chain import Chain
from unmask.inference.pictures import encode_picture
from unmask.sheets import grid

_SHEET_FACES = 12


def _rounded(tree: dict) -> dict:
    return {
        k: _rounded(v) if isinstance(v, dict) else round(v, 4) if isinstance(v, float) else v
        for k, v in tree.items()
    }


def _write_rows(path: Path, columns: tuple[str, ...], rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(_rounded(row) for row in rows)


def _write_plots(
    folder: Path, eval_set: EvaluationSet, chain: Measured, slices: list[dict]
) -> None:
    _write_rows(folder / "slices.csv", SLICE_COLUMNS, slices)
    errors = np.sort(chain.nme)
    shares = np.arange(1, len(errors) + 1) / len(errors)
    _write_rows(
        folder / "nme.csv",
        ("nme", "share"),
        [{"nme": float(e), "share": float(s)} for e, s in zip(errors, shares, strict=True)],
    )
    known = eval_set.gender >= 0
    if len(set(eval_set.gender[known].tolist())) == 2:
        false_rate, true_rate, _ = roc_curve(eval_set.gender[known], chain.gender_male[known])
        points = [
            {"false_male": float(f), "true_male": float(t)}
            for f, t in zip(false_rate, true_rate, strict=True)
        ]
    else:
        points = []
    _write_rows(folder / "gender_roc.csv", ("false_male", "true_male"), points)


def evaluate(
    params: Params, eval_set: EvaluationSet, train: Split, models: Path, out: Path
) -> dict:
    """Score the chain, each network alone and the baselines on faces that none was fitted to.

    Writes metrics.json, plots/, pictures/ and DVC's page template plots.html.

    Args:
        params: of which `evaluate` and `cluster` are read.
        eval_set: the faces, in the canonical frame or at native resolution; the networks alone,
            which see frames only, are scored on the former only.
        train: the split that baselines are fitted to.
        models: the folder of the four stored networks.
        out: the folder to write to.

    Returns:
        What metrics.json holds.

    Raises:
        UnmaskError: when a network is missing or damaged.
    """
    chain = Chain.load(models)
    truth = TrueFaces(eval_set.images, eval_set.valid, eval_set.masks, eval_set.landmarks)
    print(f"evaluate: {len(eval_set)} faces", flush=True)
    whole, seconds = measure_chain(chain, eval_set, truth, "evaluate: faces", params.cluster)
    print("evaluate: chain done", flush=True)
    alone = {} if not eval_set.framed else {"alone": measure_alone(chain, eval_set, truth).table}
    images, valid = fitting_faces(train)
    components = min(params.evaluate.eigenfaces, len(images) - 1)
    fills = {
        "masked": eval_set.masked,
        "mean_face": fill_frames(MeanFace.fit(images, valid).fill, eval_set, train.size),
        "telea": fill_pictures(telea, eval_set),
        "navier_stokes": fill_pictures(navier_stokes, eval_set),
        "eigenfaces": fill_frames(
            EigenfaceFill.fit(images, valid, components).fill, eval_set, train.size
        ),
    }
    tables = {name: truth.score(filled).means() for name, filled in fills.items()}
    print("evaluate: baselines done", flush=True)
    psnr = whole.table["hole_psnr"]
    metrics = _rounded(
        {
            "faces": len(eval_set),
            "chain": {
                **whole.table,
                "hole_psnr_over_mean_face": psnr - tables["mean_face"]["hole_psnr"],
                "hole_psnr_over_telea": psnr - tables["telea"]["hole_psnr"],
                "bare_restored": bare_restored(chain, eval_set, params.cluster),
            },
            **alone,
            "baselines": tables,
        }
    )
    slices = slice_table(eval_set, whole, params.evaluate.minimum_slice)
    for name in ("plots", "pictures"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
    _write_plots(out / "plots", eval_set, whole, slices)
    write_plots_page(out / "plots.html")
    order = np.argsort(whole.hole.psnr)
    spread = np.linspace(0, len(eval_set) - 1, min(_SHEET_FACES, len(eval_set))).astype(int)
    for name, chosen in {
        "spread": np.sort(order[spread]),
        "worst": order[:_SHEET_FACES],
    }.items():
        shown = (eval_set.masked, whole.pictures, fills["telea"], eval_set.images)
        sheet = grid([[pictures[face] for face in chosen] for pictures in shown])
        (out / "pictures" / f"{name}.png").write_bytes(encode_picture(sheet))
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    print(
        f"evaluate: {1000 * seconds:.0f} ms per picture, {json.dumps(metrics['chain'])}", flush=True
    )
    return metrics
