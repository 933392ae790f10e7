"""Scores by group of faces: gender, ethnicity, age band, mask type and yaw."""

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet
from unmask.evaluation.measure import Measured
from unmask.metrics.classification import gender_accuracy

SLICE_COLUMNS = (
    "slice",
    "faces",
    "hole_psnr",
    "hole_ssim",
    "perceptual",
    "sharpness",
    "picture_psnr",
    "picture_ssim",
    "mask_iou",
    "nme",
    "gender_accuracy",
)
_AGE_BANDS = ((0, 15), (16, 29), (30, 44), (45, 59), (60, 120))  # years, both ends included
_ADULT = 16  # years
_YAW_BANDS = ((0, 10), (10, 25), (25, 91))  # degrees to either side, the upper end excluded


def _age_band(age: int | None) -> str | None:
    return next((f"{a}-{b}" for a, b in _AGE_BANDS if age is not None and a <= age <= b), None)


def _yaw_band(yaw: float) -> str:
    return next(f"{a}-{b}" for a, b in _YAW_BANDS if a <= min(abs(yaw), 90) < b)


def groups_of(eval_set: EvaluationSet) -> dict[str, np.ndarray]:
    """Indices of the faces of each group, by 'label=value'; a face is in none of unknown value."""
    members: dict[str, list[int]] = {}
    for index, label in enumerate(eval_set.labels):
        values = {
            "gender": label["gender"],
            "ethnicity": label["ethnicity"],
            "age": _age_band(label["age"]),
            "adult": f"{_ADULT}+" if (label["age"] or 0) >= _ADULT else None,
            "mask_type": label["mask_type"],
            "wear": label["wear"],
            "yaw": _yaw_band(label["yaw"]),
            "source": label["source"],
        }
        for name, value in values.items():
            if value is not None:
                members.setdefault(f"{name}={value}", []).append(index)
    return {name: np.array(members[name]) for name in sorted(members)}


def slice_table(eval_set: EvaluationSet, measured: Measured, minimum: int) -> list[dict]:
    """Mean scores by group.

    Args:
        eval_set: N faces and their labels.
        measured: what was measured on them.
        minimum: number of faces below which a group has no row.

    Returns:
        One row per group, of SLICE_COLUMNS; None where a score is undefined.
    """
    rows = []
    for name, members in groups_of(eval_set).items():
        if len(members) < minimum:
            continue
        known = members[eval_set.gender[members] >= 0]
        sharp = measured.hole.sharpness(members)
        genders = (measured.gender_male[known], eval_set.gender[known])
        rows.append(
            {
                "slice": name,
                "faces": len(members),
                "hole_psnr": float(measured.hole.psnr[members].mean()),
                "hole_ssim": float(measured.hole.ssim[members].mean()),
                "perceptual": float(measured.hole.perceptual[members].mean()),
                "sharpness": sharp if np.isfinite(sharp) else None,
                "picture_psnr": float(measured.hole.picture_psnr[members].mean()),
                "picture_ssim": float(measured.hole.picture_ssim[members].mean()),
                "mask_iou": float(measured.iou[members].mean()),
                "nme": float(measured.nme[members].mean()),
                "gender_accuracy": gender_accuracy(*genders) if len(known) else None,
            }
        )
    return rows
