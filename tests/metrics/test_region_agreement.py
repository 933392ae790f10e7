import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torchmetrics.functional.image import peak_signal_noise_ratio

from unmask.metrics.region import region_l1, region_psnr
from unmask.metrics.ssim import region_ssim

METRICS = (region_psnr, region_l1, region_ssim)


def pictures(seed=0, n=3, side=32):
    rng = np.random.default_rng(seed)
    predicted, target = rng.integers(0, 256, (2, n, side, side, 3), dtype=np.uint8)
    return predicted, target, rng.random((n, side, side)) < 0.3


def ssim_map(a, b):
    """Wang 2004 by scipy, one channel."""

    def blur(x):
        return gaussian_filter(x, 1.5, truncate=3.5, mode="mirror")

    ma, mb = blur(a), blur(b)
    va, vb, vab = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))


def test_hand_computed():
    target = np.full((2, 16, 16, 3), 100, np.uint8)
    predicted = target.copy()
    predicted[0, 4, 4] = 110
    predicted[1, 4, 4, 0] = 130
    region = np.zeros((2, 16, 16), bool)
    region[:, 4, 4:6] = True
    mse = np.array([100 / 2, 900 / 6])
    np.testing.assert_allclose(region_psnr(predicted, target, region), 10 * np.log10(65025 / mse))
    np.testing.assert_allclose(region_l1(predicted, target, region), [5 / 255, 5 / 255])


def test_exact_agreement():
    target, _, region = pictures()
    assert (region_psnr(target, target, region) == np.inf).all()
    assert (region_l1(target, target, region) == 0).all()
    np.testing.assert_allclose(region_ssim(target, target, region), 1, atol=1e-6)


def test_psnr_and_l1_agree_with_selected_pixels():
    predicted, target, region = pictures()
    a = [torch.tensor(p[r]).double() for p, r in zip(predicted, region, strict=True)]
    b = [torch.tensor(t[r]).double() for t, r in zip(target, region, strict=True)]
    psnr = [float(peak_signal_noise_ratio(p, t, 255.0)) for p, t in zip(a, b, strict=True)]
    l1 = [float((p - t).abs().mean() / 255) for p, t in zip(a, b, strict=True)]
    np.testing.assert_allclose(region_psnr(predicted, target, region), psnr)
    np.testing.assert_allclose(region_l1(predicted, target, region), l1)


def test_psnr_of_whole_pictures_agrees_with_torchmetrics():
    predicted, target = np.random.default_rng(0).integers(0, 256, (2, 3, 20, 24, 3), np.uint8)
    expected = [
        float(peak_signal_noise_ratio(p, t, data_range=255.0))
        for p, t in zip(*(torch.tensor(a).double() for a in (predicted, target)), strict=True)
    ]
    valid = np.ones((3, 20, 24), bool)
    np.testing.assert_allclose(region_psnr(predicted, target, valid), expected)


def test_what_no_mask_hid_counts_and_padding_does_not():
    target = np.full((1, 10, 10, 3), 100, np.uint8)
    predicted = target.copy()
    predicted[0, 0] = 110  # 10 of 100 pixels
    valid = np.ones((1, 10, 10), bool)
    hole = valid.copy()
    hole[:, 0] = False
    assert region_psnr(predicted, target, valid) == pytest.approx(10 * np.log10(65025 / 10))
    assert region_psnr(predicted, target, hole) == np.inf
    valid[:, 5:] = False
    assert region_psnr(predicted, target, valid) == pytest.approx(10 * np.log10(65025 / 20))


def test_ssim_agrees_with_scipy():
    predicted, target, region = pictures()
    composite = np.where(region[..., None], predicted, target).astype(float)
    expected = [
        np.mean([ssim_map(c[..., k], t[..., k])[r] for k in range(3)])
        for c, t, r in zip(composite, target.astype(float), region, strict=True)
    ]
    np.testing.assert_allclose(region_ssim(predicted, target, region), expected, atol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
@given(seed=st.integers(0, 2**32 - 1))
def test_predictions_outside_the_region_do_not_count(metric, seed):
    predicted, target, region = pictures(seed, n=2, side=12)
    region[:, 0, 0] = True
    other = np.where(region[..., None], predicted, pictures(seed + 1, n=2, side=12)[0])
    np.testing.assert_array_equal(metric(predicted, target, region), metric(other, target, region))


@given(seed=st.integers(0, 2**32 - 1))
def test_ranges(seed):
    predicted, target, region = pictures(seed, n=2, side=12)
    region[:, 0, 0] = True
    assert (region_psnr(predicted, target, region) >= 0).all()
    assert (
        (region_l1(predicted, target, region) >= 0) & (region_l1(predicted, target, region) <= 1)
    ).all()
    assert (np.abs(region_ssim(predicted, target, region)) <= 1 + 1e-4).all()


@pytest.mark.parametrize("metric", METRICS)
def test_kinds_of_array_agree(metric):
    predicted, target, region = pictures()
    expected = metric(predicted, target, region)
    assert expected.shape == (3,)
    assert expected.dtype == np.float64
    tensors = metric(torch.tensor(predicted), torch.tensor(target).float(), torch.tensor(region))
    flipped = metric(predicted[..., ::-1], target[..., ::-1], region)
    np.testing.assert_allclose(tensors, expected)
    np.testing.assert_allclose(flipped, expected, rtol=1e-5)
    singles = [metric(predicted[i : i + 1], target[i : i + 1], region[i : i + 1]) for i in range(3)]
    np.testing.assert_allclose(np.concatenate(singles), expected, rtol=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_refuses_bad_input(metric):
    predicted, target, region = pictures()
    region[1] = False
    with pytest.raises(ValueError, match=r"no pixels in the pictures \[1\]"):
        metric(predicted, target, region)
    region[:] = True
    with pytest.raises(ValueError, match=r"0\.\.255"):
        metric(predicted * 2.0, target, region)
    with pytest.raises(ValueError, match=r"0\.\.255"):
        metric(np.where(region[..., None], np.nan, target), target, region)
    with pytest.raises(ValueError, match="shape"):
        metric(predicted[:, :-1], target, region)
    with pytest.raises(ValueError, match="boolean"):
        metric(predicted, target, region.astype(np.uint8))


def test_ssim_refuses_small_pictures():
    predicted, target, region = pictures(side=10)
    with pytest.raises(ValueError, match="11 pixels"):
        region_ssim(predicted, target, region)
