"""Average precision of face mask instances."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torchmetrics.detection import MeanAveragePrecision

from unmask.metrics.inputs import Array, read_masks, to_numpy

# torchmetrics' own defaults are rounded to float32, so an overlap of exactly 0.8 misses 0.8.
IOU_THRESHOLDS = [percent / 100 for percent in range(50, 100, 5)]
RECALL_THRESHOLDS = [percent / 100 for percent in range(101)]

# Without boxes torchmetrics drops pictures that have no true mask, and their false alarms.
PLACEHOLDER_BOX = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


@dataclass(frozen=True)
class MaskPrecision:
    """Average precision, each 0..1, over `images` pictures with `instances` true masks."""

    mean: float
    at_50: float
    at_75: float
    images: int
    instances: int


def mask_average_precision(
    predicted: Sequence[Array], scores: Sequence[Array], true: Sequence[Array]
) -> MaskPrecision:
    """Return the COCO average precision of mask instances of one class.

    `mean` averages the precision over the mask IoU thresholds 0.50, 0.55 ... 0.95; `at_50` and
    `at_75` take one threshold. At most 100 instances a picture count, the best scored ones.
    Source: Lin et al., "Microsoft COCO", ECCV 2014.

    Args:
        predicted: for each picture, its predicted masks, bool (K, H, W), K may be 0.
        scores: for each picture, the confidence of each predicted mask, (K,).
        true: for each picture, its true masks, bool (G, H, W), G may be 0.

    Returns:
        The average precisions.

    Raises:
        ValueError: if the sequences or shapes disagree, or there is no true mask at all.
    """
    if not len(predicted) == len(scores) == len(true):
        raise ValueError(
            "predicted, scores and true must have one entry a picture, not "
            f"{len(predicted)}, {len(scores)} and {len(true)}"
        )
    predictions = [_prediction(m, s) for m, s in zip(predicted, scores, strict=True)]
    truths = [_instances(m, "true masks") for m in true]
    for index, (p, t) in enumerate(zip(predictions, truths, strict=True)):
        if p["masks"].shape[1:] != t["masks"].shape[1:]:
            raise ValueError(f"predicted and true masks of picture {index} differ in size")
    instances = sum(len(t["labels"]) for t in truths)
    if instances == 0:
        raise ValueError("average precision needs at least one true mask")
    if not any(len(p["labels"]) for p in predictions):
        return MaskPrecision(0.0, 0.0, 0.0, len(truths), instances)
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"),
        iou_thresholds=IOU_THRESHOLDS,
        rec_thresholds=RECALL_THRESHOLDS,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    metric.update(predictions, truths)
    result = metric.compute()
    return MaskPrecision(
        mean=float(result["segm_map"]),
        at_50=float(result["segm_map_50"]),
        at_75=float(result["segm_map_75"]),
        images=len(truths),
        instances=instances,
    )


def _instances(masks: Array, name: str) -> dict[str, torch.Tensor]:
    masks = read_masks(masks, name)
    return {
        "masks": torch.tensor(masks),
        "labels": torch.zeros(len(masks), dtype=torch.long),
        "boxes": PLACEHOLDER_BOX.repeat(len(masks), 1),
    }


def _prediction(masks: Array, scores: Array) -> dict[str, torch.Tensor]:
    instances = _instances(masks, "predicted masks")
    scores = torch.tensor(to_numpy(scores), dtype=torch.float32)
    if scores.shape != instances["labels"].shape:
        raise ValueError(f"there are {len(instances['labels'])} masks but scores {scores.shape}")
    return instances | {"scores": scores}
