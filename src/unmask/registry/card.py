"""The model card of a version, registered or released."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from unmask.config.params import NETWORKS
from unmask.networks import METADATA, PARAMS

_COLUMNS = {
    "hole_psnr": "hole PSNR, dB",
    "hole_ssim": "hole SSIM",
    "hole_l1": "hole L1",
    "perceptual": "perceptual distance",
    "sharpness": "sharpness",
    "picture_psnr": "picture PSNR, dB",
    "picture_ssim": "picture SSIM",
    "frechet": "Frechet distance",
    "identity_distance": "identity distance",
    "same_person": "under 0.6",
}


_Cell = str | float | None


def _row(cells: Sequence[_Cell]) -> str:
    return "| " + " | ".join(map(_shown, cells)) + " |"


def _shown(cell: _Cell) -> str:
    """A number, or a text that is one, with at most three decimals; any other text as it is."""
    try:
        return f"{float('' if cell is None else cell):.3f}".rstrip("0").rstrip(".")
    except ValueError:
        return str(cell or "")


def _table(header: Sequence[str], rows: Sequence[Sequence[_Cell]]) -> list[str]:
    return [_row(header), "|" + "---|" * len(header), *map(_row, rows), ""]


def _training(models: Path) -> list[str]:
    """A line per network: its training steps, image size, first weights and faces."""
    lines = []
    for name in NETWORKS:
        params = json.loads((models / name / PARAMS).read_text())
        metadata = json.loads((models / name / METADATA).read_text())
        faces = ", ".join(f"{n} of {s}" for s, n in sorted(metadata["faces"].items()))
        started = "the release before" if metadata["init"] == "release" else "scratch"
        lines.append(
            f"- {name}: {params['steps']} steps of {params['batch_size']} faces at "
            f"{params['image_size']} pixels, from {started}, on {faces}"
        )
    return lines


def model_card(models: Path, reports: Path, split: str = "test", *, framed: bool = True) -> str:
    """The model card in Markdown: purpose, limits, forbidden uses, training and scores.

    Args:
        models: the folder of the stored networks.
        reports: the folder of the evaluation's metrics.json and plots/slices.csv.
        split: name of the split that the evaluation scored, e.g. 'test' or 'holdout'.
        framed: whether canonical frames were scored; false means pictures at native resolution.
    """
    scores = json.loads((reports / "metrics.json").read_text())
    chain = scores["chain"]
    measured = [column for column in _COLUMNS if column in chain]
    fills = {"whole chain": chain, **scores["baselines"]}
    with (reports / "plots" / "slices.csv").open(newline="") as file:
        columns, *slices = csv.reader(file)
    gender = chain.get("gender_accuracy")
    pixels = "" if framed else ", in the pictures that its sources give"
    return "\n".join(
        [
            "# unmask",
            "",
            "Restores the face under a face mask: landmarks, segmentation, gender, inpainting.",
            "",
            "**Limits.** What a mask hides is not determined by what it shows: the answer is a "
            "plausible face, not the person's. Gender is a guess from appearance with two labels. "
            "Profiles, masks cut off by the picture and anything else over the face (hands, "
            "microphones) are restored badly. "
            "**Not for** identifying people, evidence, or pictures of people who did not agree. "
            "The data behind the weights is for non-commercial research (LICENSE-WEIGHTS.md).",
            "",
            "## Training",
            "",
            "By `python -m flows.train`, with the params that stand beside each network's weights "
            "(docs/training.md says what the weights that come with the package saw). Sources: "
            "appearance_model, synthetic faces sampled from a statistical model of the next two; "
            "utkface, UTKFace (non-commercial research); lfw, Labeled Faces in the Wild; folder, "
            "annotated faces, for the package's weights the sharp ones that LICENSE-WEIGHTS.md "
            "names.",
            "",
            *_training(models),
            "",
            "## Scores",
            "",
            f"On {scores['faces']} faces of the {split} split{pixels}, the masked picture as only "
            "input; the other fills are given the true mask. Definitions: docs/metrics.md.",
            "",
            *_table(
                ["fill", *(_COLUMNS[column] for column in measured)],
                [[name, *(row[column] for column in measured)] for name, row in fills.items()],
            ),
            f"Mask IoU {chain['mask_iou']:.3f}, boundary IoU {chain['mask_boundary_iou']:.3f}, "
            f"NME {chain['nme']:.4f}, gender accuracy "
            f"{'unknown' if gender is None else f'{gender:.3f}'}, bare faces altered "
            f"{chain['bare_restored']:.3f}; replaced beyond the mask "
            f"{chain['replaced_beyond']:.3f} of its area, missed {chain['mask_missed']:.4f} of it.",
            "",
            *_table([name.replace("_", " ") for name in columns], slices),
        ]
    )
