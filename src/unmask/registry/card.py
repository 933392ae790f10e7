"""The model card of a registered version."""

import json
from pathlib import Path

from unmask.models.stored import PARAMS
from unmask.params import NETWORKS

_ROWS = ("hole_psnr", "hole_ssim", "frechet")


def model_card(models: Path, metrics: Path) -> str:
    """Markdown: what the model does, how it was trained, how it scores, what it must not be for.

    Args:
        models: the folder of the stored networks.
        metrics: metrics.json of the evaluate stage.
    """
    scores = json.loads(metrics.read_text())
    steps = {name: json.loads((models / name / PARAMS).read_text())["steps"] for name in NETWORKS}
    table = ["| fill | hole PSNR, dB | hole SSIM | Frechet distance |", "|---|---|---|---|"]
    fills = {"whole chain": scores["chain"], **scores["baselines"]}
    for name, row in fills.items():
        table.append(f"| {name} | " + " | ".join(f"{row[key]:.3f}" for key in _ROWS) + " |")
    chain = scores["chain"]
    trained = ", ".join(f"{name} {count} steps" for name, count in steps.items())
    return "\n".join(
        [
            "# unmask",
            "",
            "Restores the face under a face mask: landmarks, segmentation, gender, inpainting.",
            "",
            f"Scored on {scores['faces']} faces of the test split, the masked picture as only "
            "input; definitions in docs/metrics.md.",
            "",
            *table,
            "",
            f"Mask IoU {chain['mask_iou']:.3f}, NME {chain['nme']:.3f}, gender accuracy "
            f"{chain.get('gender_accuracy', float('nan')):.3f}. Trained: {trained}.",
            "",
            "**Limits.** What a mask hides is not determined by what it shows: the answer is a "
            "plausible face, not the person's. Gender is a guess from appearance with two labels. "
            "**Not for** identifying people, evidence, or pictures of people who did not agree. "
            "The data behind the weights is for non-commercial research (LICENSE-WEIGHTS.md).",
        ]
    )
