import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from unmask.metrics.ssim import picture_ms_ssim, region_ssim

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def pictures(side, n=2):
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(128, 300, (n, side, side, 3)), (0, 3, 3, 0))
    target = np.clip(smooth, 0, 255).astype(np.uint8)
    noisy = np.clip(target + rng.normal(0, 25, target.shape), 0, 255).astype(np.uint8)
    return noisy, target, np.ones((n, side, side), bool)


def ms_ssim(a, b):
    """Wang 2003 by scipy, a pair of (H, W, 3); contrast terms cropped like torchmetrics does."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

    def blur(x):
        return gaussian_filter(x, (1.5, 1.5, 0), truncate=3.5, mode="mirror")

    product = 1.0
    for level, weight in enumerate(WEIGHTS):
        ma, mb = blur(a), blur(b)
        va, vb, vab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
        contrast = (2 * vab + c2) / (va + vb + c2)
        luminance = (2 * ma * mb + c1) / (ma**2 + mb**2 + c1)
        last = level == len(WEIGHTS) - 1
        term = (luminance * contrast).mean() if last else contrast[5:-5, 5:-5].mean()
        product *= max(term, 0) ** weight
        h, w = a.shape[0] // 2 * 2, a.shape[1] // 2 * 2
        a, b = (x[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean((1, 3)) for x in (a, b))
    return product


def tensors(*batches):
    return [torch.tensor(b).permute(0, 3, 1, 2).float() for b in batches]


def test_whole_picture_agrees_with_torchmetrics():
    predicted, target, valid = pictures(48)
    expected = structural_similarity_index_measure(
        *tensors(predicted, target), data_range=255.0, reduction="none"
    )
    measured = region_ssim(predicted, target, valid)
    np.testing.assert_allclose(measured, expected, atol=1e-5)


def test_flat_pictures_lose_little_to_float32():
    _, target, valid = pictures(48)
    target = gaussian_filter(target, (0, 8, 8, 0))
    predicted = np.clip(target + 1.0, 0, 255)
    expected = structural_similarity_index_measure(
        *(t.double() for t in tensors(predicted, target)), data_range=255.0, reduction="none"
    )
    np.testing.assert_allclose(region_ssim(predicted, target, valid), expected, atol=1e-4)


def test_padding_does_not_count():
    predicted, target, valid = pictures(48)
    valid[:, :10] = False
    garbage = np.where(valid[..., None], predicted, 0)
    np.testing.assert_array_equal(
        region_ssim(garbage, target, valid), region_ssim(predicted, target, valid)
    )


@pytest.mark.parametrize("side", [176, 201])
def test_ms_ssim_agrees_with_references(side):
    predicted, target, valid = pictures(side)
    measured = picture_ms_ssim(predicted, target, valid)
    library = multiscale_structural_similarity_index_measure(
        *tensors(predicted, target), data_range=255.0, reduction="none"
    )
    np.testing.assert_allclose(measured, library, atol=1e-5)
    expected = [
        ms_ssim(*p) for p in zip(predicted.astype(float), target.astype(float), strict=True)
    ]
    np.testing.assert_allclose(measured, expected, atol=1e-4)
    np.testing.assert_allclose(picture_ms_ssim(target, target, valid), 1, atol=1e-6)


def test_ms_ssim_of_small_pictures_is_none():
    assert picture_ms_ssim(*pictures(175)) is None


def test_ms_ssim_refuses_pictures_without_valid_pixels():
    predicted, target, valid = pictures(16)
    with pytest.raises(ValueError, match=r"no pixels in the pictures \[0, 1\]"):
        picture_ms_ssim(predicted, target, ~valid)
