"""Every network alone, then the whole chain with only the masked picture as input."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet, box_of
from unmask.evaluation.scores import HoleScores, TrueFaces
from unmask.inference.blending import frame_hole
from unmask.inference.chain import Chain
from unmask.inference.results import Restoration
from unmask.metrics.classification import gender_accuracy, gender_auroc
from unmask.metrics.coverage import mask_missed, replaced_beyond
from unmask.metrics.detection import mask_average_precision
from unmask.metrics.iou import boundary_iou, mask_iou
from unmask.metrics.nme import failure_rate, nme
from unmask.parallel import ordered_map, with_progress


@dataclass(frozen=True)
class Measured:
    """Restorations of N faces and their scores.

    Attributes:
        pictures: (N, H, W, 3) uint8 RGB, the filled faces.
        gender_male: (N,) predicted probability of 'male', 0..1.
        iou: (N,) of predicted and true masks, 0..1.
        nme: (N,) of the predicted landmarks, 0 or more; 0.05 is 5 % of the inter-ocular distance.
        hole: scores of the filled pictures.
        table: means and shares by name, as metrics.json shows them.
    """

    pictures: np.ndarray
    gender_male: np.ndarray
    iou: np.ndarray
    nme: np.ndarray
    hole: HoleScores
    table: dict[str, float]


@dataclass(frozen=True)
class _Predictions:
    """What is predicted, face by face.

    Attributes:
        pictures: (H, W, 3) uint8 RGB, the filled face.
        masks: (H, W) bool.
        scores: confidence of the mask, 0..1.
        landmarks: (68, 2) float32 pixels.
        gender_male: probability of 'male', 0..1.
    """

    pictures: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    landmarks: list[np.ndarray] = field(default_factory=list)
    gender_male: list[float] = field(default_factory=list)


def _gender(probability: np.ndarray, gender: np.ndarray) -> dict[str, float]:
    """The table's figures of the gender network, as far as they are defined."""
    known = gender[gender >= 0]
    table = {"gender_accuracy": gender_accuracy(probability, gender)} if len(known) else {}
    if len(set(known.tolist())) == 2:
        table["gender_roc_auc"] = gender_auroc(probability, gender)
    return table


def _measured(eval_set: EvaluationSet, truth: TrueFaces, predictions: _Predictions) -> Measured:
    pictures, masks = np.stack(predictions.pictures), np.stack(predictions.masks)
    probability = np.array(predictions.gender_male)
    overlap = mask_iou(masks, eval_set.masks)
    error = nme(np.stack(predictions.landmarks), eval_set.landmarks)
    hole = truth.score(pictures)
    instances = [int(mask.any()) for mask in masks]
    table = {
        **hole.means(),
        "mask_iou": float(overlap.mean()),
        "mask_boundary_iou": float(boundary_iou(masks, eval_set.masks).mean()),
        "mask_map": mask_average_precision(
            [mask[None][:n] for mask, n in zip(masks, instances, strict=True)],
            [np.array([s])[:n] for s, n in zip(predictions.scores, instances, strict=True)],
            list(eval_set.masks[:, None]),
        ),
        "nme": float(error.mean()),
        "nme_failure_rate": failure_rate(error),
        **_gender(probability, eval_set.gender),
    }
    return Measured(pictures, probability, overlap, error, hole, table)


def measure_alone(chain: Chain, eval_set: EvaluationSet, truth: TrueFaces) -> Measured:
    """Score each network on the true frame; inpainting also gets true mask, landmarks and gender.

    Args:
        chain: the four networks.
        eval_set: N masked faces in the canonical frame.
        truth: the same faces without masks.
    """
    predictions = _Predictions()
    for index, crop in enumerate(eval_set.masked):
        probability, score = chain.segment(crop)
        predictions.masks.append(probability > 0.5)
        predictions.scores.append(score)
        predictions.landmarks.append(chain.landmarks(crop))
        predictions.gender_male.append(chain.gender_male(crop))
        gender = float(eval_set.gender[index]) if eval_set.gender[index] >= 0 else float("nan")
        mask, rim = eval_set.masks[index].astype(np.float32), chain.settings.blending.filled
        hole = frame_hole(mask, rim) | ~eval_set.valid[index]
        predictions.pictures.append(chain.fill(crop, hole, eval_set.landmarks[index], gender))
    return _measured(eval_set, truth, predictions)


def _timed(face: tuple[np.ndarray, np.ndarray], chain: Chain) -> tuple[Restoration, float]:
    """A picture's restoration, given with which pixels are valid, and the seconds it took."""
    picture, valid = face
    start = time.perf_counter()
    restored = chain.restore(picture, valid=valid)
    return restored, time.perf_counter() - start


def _restored(
    chain: Chain, pictures: np.ndarray, valid: np.ndarray, cluster: str | None
) -> Iterator[tuple[Restoration, float]]:
    """What `_timed` gives for each of the padded pictures (N, S, S, 3)."""
    parts = ((one[box_of(v)], v[box_of(v)]) for one, v in zip(pictures, valid, strict=True))
    work = partial(_timed, chain=chain)
    return ordered_map(work, parts, 1, cluster=cluster, reads=chain.stored)


def measure_chain(
    chain: Chain,
    eval_set: EvaluationSet,
    truth: TrueFaces,
    label: str,
    cluster: str | None = None,
) -> tuple[Measured, float]:
    """Score the whole chain, whose only input are the masked pictures.

    Args:
        chain: the four networks.
        eval_set: N masked faces.
        truth: the same faces without masks.
        label: of the progress that is printed.
        cluster: that restores, see params.yaml's `cluster`; None is this process.

    Returns:
        The restorations with their scores, and the median of seconds per picture.
    """
    predictions, holes, seconds = _Predictions(), [], []
    faces = zip(
        _restored(chain, eval_set.masked, eval_set.valid, cluster),
        *(eval_set.masked, eval_set.valid, eval_set.landmarks),
        strict=True,
    )
    for (restored, took), padded, valid, true in with_progress(faces, len(eval_set), label):
        box = rows, columns = box_of(valid)
        seconds.append(took)
        picture, mask, hole = padded.copy(), np.zeros_like(valid), np.zeros_like(valid)
        picture[box], mask[box], hole[box] = restored.picture, restored.mask, restored.hole
        face = restored.faces[0].moved(columns.start, rows.start)
        predictions.pictures.append(picture)
        predictions.masks.append(mask)
        holes.append(hole)
        predictions.scores.append(face.score)
        # the landmarks of a face that was not found are all taken to be at the origin
        predictions.landmarks.append(
            np.zeros_like(true) if face.landmarks is None else face.landmarks
        )
        predictions.gender_male.append(face.gender_male)
    measured = _measured(eval_set, truth, predictions)
    replaced = np.stack(holes)
    measured.table["replaced_beyond"] = float(replaced_beyond(replaced, truth.region).mean())
    measured.table["mask_missed"] = float(mask_missed(replaced, truth.region).mean())
    return measured, float(np.median(seconds))


def bare_restored(chain: Chain, eval_set: EvaluationSet, cluster: str | None = None) -> float:
    """Share, 0..1, of the set's faces without masks, about 100 of them, that the chain changes."""
    chosen = slice(None, None, max(1, len(eval_set) // 100))
    found = _restored(chain, eval_set.images[chosen], eval_set.valid[chosen], cluster)
    return float(np.mean([restored.hole.any() for restored, _ in found]))
