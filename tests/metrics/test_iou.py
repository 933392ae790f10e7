import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torchmetrics.functional.classification import binary_jaccard_index

from unmask.metrics.iou import boundary_iou, mask_iou

PAIRS = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40).flatmap(
    lambda side: arrays(bool, (2, 2, *side), elements=st.booleans())
)


def reference_band(mask):
    """The authors' mask_to_boundary, boundary-iou-api, translated to one function."""
    h, w = mask.shape
    dilation = max(1, round(0.02 * np.sqrt(h**2 + w**2)))
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=dilation)
    return mask & (eroded[1 : h + 1, 1 : w + 1] == 0)


def reference_iou(a, b):
    return (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0


def discs(seed, side, count=4):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    centres, radii = rng.uniform(0, side, (count, 2)), rng.uniform(side / 8, side / 2, count)
    return np.stack([np.hypot(y - c[0], x - c[1]) < r for c, r in zip(centres, radii, strict=True)])


def test_hand_computed():
    a, b = np.zeros((2, 1, 8, 8), bool)
    a[0, 2:6, 2:6] = b[0, 2:6, 4:8] = True
    assert mask_iou(a, b) == pytest.approx([8 / 24])
    # 4 x 4 rings of 12 pixels; the shared ones are the ends of two rows.
    assert boundary_iou(a, b) == pytest.approx([4 / 20])


def test_iou_agrees_with_torchmetrics():
    a, b = discs(0, 64), discs(1, 64)
    expected = [
        binary_jaccard_index(torch.tensor(p).int(), torch.tensor(t).int())
        for p, t in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(mask_iou(a, b), expected, rtol=1e-6)


@pytest.mark.parametrize("side", [30, 128, 256])
def test_boundary_iou_agrees_with_the_authors(side):
    a, b = discs(0, side), discs(1, side)
    expected = [
        reference_iou(reference_band(p), reference_band(t)) for p, t in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(boundary_iou(a, b), expected)
    np.testing.assert_allclose(boundary_iou(torch.tensor(a), torch.tensor(b)), expected)


@given(PAIRS)
def test_any_masks_agree_with_references(pair):
    a, b = pair
    for n in range(2):
        assert mask_iou(a, b)[n] == pytest.approx(reference_iou(a[n], b[n]))
        assert boundary_iou(a, b)[n] == pytest.approx(
            reference_iou(reference_band(a[n]), reference_band(b[n]))
        )


def test_empty_masks():
    empty, full = np.zeros((1, 9, 9), bool), np.ones((1, 9, 9), bool)
    for metric in (mask_iou, boundary_iou):
        assert metric(empty, empty) == 1
        assert metric(empty, full) == 0
        assert metric(full, full) == 1


def test_refuses_bad_input():
    with pytest.raises(ValueError, match="boolean"):
        mask_iou(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)))
    with pytest.raises(ValueError, match="one shape"):
        boundary_iou(np.zeros((1, 4, 4), bool), np.zeros((2, 4, 4), bool))
    with pytest.raises(ValueError, match=r"\(N, H, W\)"):
        mask_iou(np.zeros((4, 4), bool), np.zeros((4, 4), bool))
