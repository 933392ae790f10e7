"""Average precision of face mask instances."""

from collections.abc import Sequence

import torch
from torchmetrics.detection import MeanAveragePrecision

from unmask.metrics.inputs import Array, read_masks, to_numpy

# The defaults of torchmetrics are rounded to float32: an overlap of exactly 0.8 would miss 0.8.
IOU_THRESHOLDS = [percent / 100 for percent in range(50, 100, 5)]
RECALL_THRESHOLDS = [percent / 100 for percent in range(101)]

# Without boxes torchmetrics drops pictures that have no true mask, and their false positives.
PLACEHOLDER_BOX = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def mask_average_precision(
    predicted: Sequence[Array], scores: Sequence[Array], true: Sequence[Array]
) -> float:
    """Return the COCO average precision of mask instances of one class.

    It is averaged over the mask IoU thresholds 0.50, 0.55 ... 0.95. Of each picture at most the 100
    instances of the highest scores count. Source: Lin et al., "Microsoft COCO", ECCV 2014.

    Args:
        predicted: for each picture, its predicted masks, bool (K, H, W), K may be 0.
        scores: for each picture, the confidence of each predicted mask, (K,).
        true: for each picture, its true masks, bool (G, H, W), G may be 0.

    Returns:
        The mean average precision, 0..1.

    Raises:
        ValueError: if the sequences or shapes disagree, or there is no true mask at all.
    """
    if not len(predicted) == len(scores) == len(true):
        raise ValueError(
            "predicted, scores and true must have one entry per picture, not "
            f"{len(predicted)}, {len(scores)} and {len(true)}"
        )
    predictions = [_prediction(m, s) for m, s in zip(predicted, scores, strict=True)]
    truths = [_instances(m, "true masks") for m in true]
    for index, (p, t) in enumerate(zip(predictions, truths, strict=True)):
        if p["masks"].shape[1:] != t["masks"].shape[1:]:
            raise ValueError(f"predicted and true masks of picture {index} differ in size")
    if not any(len(t["labels"]) for t in truths):
        raise ValueError("average precision needs at least one true mask")
    if not any(len(p["labels"]) for p in predictions):
        return 0.0
    metric = MeanAveragePrecision(
        iou_type=("bbox", "segm"),
        iou_thresholds=IOU_THRESHOLDS,
        rec_thresholds=RECALL_THRESHOLDS,
        backend="faster_coco_eval",
    )
    metric.warn_on_many_detections = False
    metric.update(predictions, truths)
    return float(metric.compute()["segm_map"])


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
