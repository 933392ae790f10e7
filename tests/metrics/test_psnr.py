import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from unmask.metrics.psnr import picture_psnr, region_psnr


def test_agrees_with_torchmetrics_over_whole_pictures():
    predicted, target = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 24, 3), np.uint8)
    valid = np.ones((3, 20, 24), bool)
    expected = [
        float(peak_signal_noise_ratio(p, t, data_range=255.0))
        for p, t in zip(*(torch.tensor(a).double() for a in (predicted, target)), strict=True)
    ]
    np.testing.assert_allclose(picture_psnr(predicted, target, valid), expected)


def test_what_no_mask_hid_counts_and_padding_does_not():
    target = np.full((1, 10, 10, 3), 100, np.uint8)
    predicted = target.copy()
    predicted[0, 0] = 110  # 10 of 100 pixels
    valid = np.ones((1, 10, 10), bool)
    hole = valid.copy()
    hole[:, 0] = False
    assert picture_psnr(predicted, target, valid) == pytest.approx(10 * np.log10(65025 / 10))
    assert picture_psnr(predicted, target, hole) == np.inf
    valid[:, 5:] = False
    assert picture_psnr(predicted, target, valid) == pytest.approx(10 * np.log10(65025 / 20))
    assert region_psnr(predicted, target, valid) == picture_psnr(predicted, target, valid)
