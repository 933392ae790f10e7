import numpy as np
import pytest
import torch

from unmask.metrics.detection import mask_average_precision

THRESHOLDS = np.arange(50, 100, 5) / 100


def bar(start, stop, width=40):
    mask = np.zeros((10, width), bool)
    mask[2:8, start:stop] = True
    return mask


def none(height=10, width=40):
    return np.zeros((0, height, width), bool)


def brute_force(predicted, scores, true, threshold):
    """COCO average precision at one threshold, by definition."""
    order = sorted(
        ((s, i, k) for i, ss in enumerate(scores) for k, s in enumerate(ss)), key=lambda x: -x[0]
    )
    taken = [set() for _ in true]
    hits = []
    for _, i, k in order:
        overlap = [
            ((predicted[i][k] & t).sum() / (predicted[i][k] | t).sum(), g)
            for g, t in enumerate(true[i])
            if g not in taken[i]
        ]
        best, match = max(overlap, default=(0, None))
        hits.append(best >= threshold)
        if hits[-1]:
            taken[i].add(match)
    hits = np.array(hits)
    recall = hits.cumsum() / sum(map(len, true))
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    return np.mean([precision[recall >= r - 1e-12].max(initial=0) for r in np.linspace(0, 1, 101)])


def test_perfect_and_missed():
    masks = [bar(0, 10)[None], bar(5, 20)[None]]
    perfect = mask_average_precision(masks, [np.array([0.9]), np.array([0.3])], masks)
    assert perfect == pytest.approx(1)
    assert mask_average_precision([none(), none()], [np.array([])] * 2, masks) == 0
    one = mask_average_precision([masks[0], none()], [np.array([0.9]), np.array([])], masks)
    assert one == pytest.approx(51 / 101)  # recalls 0.00, 0.01 ... 0.50 are reached


@pytest.mark.parametrize(
    ("start", "precision"),
    [(5, 0), (4, 0), (3, 0.1), (2, 0.4), (1, 0.7), (0, 1)],
)
def test_hand_computed(start, precision):
    # overlaps 5/15, 6/14, 7/13, 8/12, 9/11 and 1: a hit at the thresholds that they reach
    true = bar(start, start + 10)[None]
    result = mask_average_precision([bar(0, 10)[None]], [np.array([0.9])], [true])
    assert result == pytest.approx(precision)


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_brute_force(seed):
    rng = np.random.default_rng(seed)
    true, predicted, scores = [], [], []
    for _ in range(12):
        starts = rng.permutation([0, 14, 28])[: rng.integers(0, 4)]
        true.append(np.array([bar(s, s + 10) for s in starts], dtype=bool).reshape(-1, 10, 40))
        found = starts[rng.random(len(starts)) < 0.8]
        masks = [bar(s + rng.integers(0, 4), s + 10) for s in found]
        masks += [bar(s, s + 3) for s in rng.integers(0, 37, rng.integers(0, 3))]
        predicted.append(np.array(masks, dtype=bool).reshape(-1, 10, 40))
        scores.append(rng.random(len(masks)))
    expected = [brute_force(predicted, scores, true, t) for t in THRESHOLDS]
    result = mask_average_precision(predicted, scores, true)
    assert result == pytest.approx(np.mean(expected), abs=1e-5)


def test_overlap_equal_to_a_threshold_is_a_hit():
    result = mask_average_precision([bar(0, 8)[None]], [np.array([0.9])], [bar(0, 10)[None]])
    assert result == pytest.approx(0.7)


def test_false_alarm_on_a_picture_without_masks_counts():
    masks = [bar(0, 10)[None], bar(0, 10)[None]]
    result = mask_average_precision(masks, [np.array([0.5]), np.array([0.9])], [masks[0], none()])
    assert result == pytest.approx(0.5)


def test_predicted_mask_without_pixels_is_a_false_alarm():
    masks = np.stack([bar(0, 10), bar(0, 0)])
    result = mask_average_precision([masks], [np.array([0.5, 0.9])], [masks[:1]])
    assert result == pytest.approx(0.5)


def test_tensors_and_silence(capsys):
    mask = torch.tensor(bar(0, 10)[None])
    assert mask_average_precision([mask], [torch.tensor([0.9])], [mask]) == pytest.approx(1)
    assert capsys.readouterr().out == ""


def test_refuses_bad_input():
    mask, score = bar(0, 10)[None], np.array([0.9])
    with pytest.raises(ValueError, match="at least one true mask"):
        mask_average_precision([mask], [score], [none()])
    with pytest.raises(ValueError, match="one entry per picture"):
        mask_average_precision([mask], [], [mask])
    with pytest.raises(ValueError, match="scores"):
        mask_average_precision([mask], [np.array([0.1, 0.2])], [mask])
    with pytest.raises(ValueError, match="differ in size"):
        mask_average_precision([none(5, 5)], [np.array([])], [mask])
