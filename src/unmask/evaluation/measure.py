"""Every model alone, then the whole chain with only the masked picture as input."""

import time
from dataclasses import dataclass

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet, box_of
from unmask.evaluation.scores import HoleScores, TrueFaces
from unmask.inference.blending import frame_hole
from unmask.inference.chain import Chain
from unmask.metrics.classification import gender_accuracy, gender_auroc
from unmask.metrics.coverage import mask_missed, replaced_beyond
from unmask.metrics.detection import mask_average_precision
from unmask.metrics.iou import boundary_iou, mask_iou
from unmask.metrics.nme import failure_rate, nme


@dataclass(frozen=True)
class Measured:
    """Answers for N faces and their scores.

    Attributes:
        pictures: (N, S, S, 3) uint8, the filled faces.
        masks: (N, S, S) bool, the predicted masks.
        landmarks: (N, 68, 2) float32, the predicted ones.
        gender_male: (N,) probability of 'male'.
        iou, nme: (N,).
        hole: scores of the filled pictures.
        table: means and shares by name, as metrics.json shows them.
    """

    pictures: np.ndarray
    masks: np.ndarray
    landmarks: np.ndarray
    gender_male: np.ndarray
    iou: np.ndarray
    nme: np.ndarray
    hole: HoleScores
    table: dict[str, float]


def _gender(probability: np.ndarray, gender: np.ndarray) -> dict[str, float]:
    known = gender[gender >= 0]
    table = {"gender_accuracy": gender_accuracy(probability, gender)} if len(known) else {}
    if len(set(known.tolist())) == 2:
        table["gender_roc_auc"] = gender_auroc(probability, gender)
    return table


def _measured(
    eval_set: EvaluationSet,
    truth: TrueFaces,
    pictures: list,
    masks: list,
    scores: list,
    points: list,
    males: list,
) -> Measured:
    predicted, found = np.stack(masks), np.stack(points)
    probability = np.array(males)
    overlap, error = mask_iou(predicted, eval_set.masks), nme(found, eval_set.landmarks)
    hole = truth.score(np.stack(pictures))
    found_any = [int(mask.any()) for mask in predicted]
    precision = mask_average_precision(
        [mask[None][:n] for mask, n in zip(predicted, found_any, strict=True)],
        [np.array([score])[:n] for score, n in zip(scores, found_any, strict=True)],
        list(eval_set.masks[:, None]),
    )
    table = {
        **hole.means(),
        "mask_iou": float(overlap.mean()),
        "mask_boundary_iou": float(boundary_iou(predicted, eval_set.masks).mean()),
        "mask_map": precision.mean,
        "nme": float(error.mean()),
        "nme_failure_rate": failure_rate(error),
        **_gender(probability, eval_set.gender),
    }
    return Measured(np.stack(pictures), predicted, found, probability, overlap, error, hole, table)


def measure_alone(chain: Chain, eval_set: EvaluationSet, truth: TrueFaces) -> Measured:
    """Each network given the truth: the frame, and for inpainting mask, landmarks and gender."""
    pictures, masks, scores, points, males = [], [], [], [], []
    for index, crop in enumerate(eval_set.masked):
        probability, score = chain.segment(crop)
        masks.append(probability > 0.5)
        scores.append(score)
        points.append(chain.landmarks(crop))
        males.append(chain.gender_male(crop))
        gender = float(eval_set.gender[index]) if eval_set.gender[index] >= 0 else float("nan")
        hole = frame_hole(eval_set.masks[index].astype(np.float32)) | ~eval_set.valid[index]
        pictures.append(chain.fill(crop, hole, eval_set.landmarks[index], gender))
    return _measured(eval_set, truth, pictures, masks, scores, points, males)


def measure_chain(
    chain: Chain, eval_set: EvaluationSet, truth: TrueFaces
) -> tuple[Measured, float]:
    """The whole chain, given the masked pictures only.

    Returns:
        (what it answered, median seconds a picture).
    """
    pictures, masks, holes, scores, points, males, seconds = [], [], [], [], [], [], []
    for padded, valid, true in zip(
        eval_set.masked, eval_set.valid, eval_set.landmarks, strict=True
    ):
        box = rows, columns = box_of(valid)
        start = time.perf_counter()
        restored = chain.restore(padded[box], valid=valid[box])
        seconds.append(time.perf_counter() - start)
        picture, mask, hole = padded.copy(), np.zeros_like(valid), np.zeros_like(valid)
        picture[box], mask[box], hole[box] = restored.picture, restored.mask, restored.hole
        face = restored.faces[0].moved(columns.start, rows.start)
        pictures.append(picture)
        masks.append(mask)
        holes.append(hole)
        scores.append(face.score)
        # a face that was not found has failed, and counts as the landmarks' full spread
        points.append(np.zeros_like(true) if face.landmarks is None else face.landmarks)
        males.append(face.gender_male)
    measured = _measured(eval_set, truth, pictures, masks, scores, points, males)
    replaced = np.stack(holes)
    measured.table["replaced_beyond"] = float(replaced_beyond(replaced, truth.region).mean())
    measured.table["mask_missed"] = float(mask_missed(replaced, truth.region).mean())
    return measured, float(np.median(seconds))


def bare_restored(chain: Chain, eval_set: EvaluationSet) -> float:
    """Share of bare faces, about 100 of the eval_set, that the chain alters all the same."""
    chosen = slice(None, None, max(1, len(eval_set) // 100))
    altered = [
        chain.restore(face[box_of(valid)], valid=valid[box_of(valid)]).hole.any()
        for face, valid in zip(eval_set.images[chosen], eval_set.valid[chosen], strict=True)
    ]
    return float(np.mean(altered))
