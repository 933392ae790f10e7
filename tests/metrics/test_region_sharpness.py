import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion, gaussian_filter, uniform_filter, zoom

from unmask.metrics.region import region_detail, sharpness

ONE = np.ones(1)


def faces(seed=0, n=1, side=64):
    """Pictures of soft blobs with fine texture over them, and a square hole."""
    rng = np.random.default_rng(seed)
    soft = gaussian_filter(rng.normal(0, 1, (n, side, side, 3)), (0, 6, 6, 0)) * 400
    fine = gaussian_filter(rng.normal(0, 1, (n, side, side, 3)), (0, 1, 1, 0)) * 30
    region = np.zeros((n, side, side), bool)
    region[:, side // 4 : -side // 4, side // 8 : -side // 8] = True
    return np.clip(128 + soft + fine, 0, 255), region


def blurred(pictures, sigma):
    return gaussian_filter(pictures, (0, sigma, sigma, 0))


@pytest.mark.parametrize(
    ("scale", "box", "margin"), [(0.25, 3, 2), (0.5, 5, 3), (1.0, 9, 6), (2.0, 17, 12)]
)
def test_agrees_with_scipy(scale, box, margin):
    pictures, region = faces(side=96)
    around = np.ones((2 * margin + 1, 2 * margin + 1), bool)
    inner = binary_erosion(region[0], around)
    high = np.stack([p - uniform_filter(p, box) for p in np.moveaxis(pictures[0], -1, 0)])
    expected = np.abs(high)[:, inner].mean()
    found = region_detail(pictures, region, np.array([scale]))
    np.testing.assert_allclose(found, [expected])


def test_by_hand():
    picture = np.full((1, 31, 31, 3), 100.0)
    picture[0, 15, 15] = 181.0  # 81 above: the box mean of 81 pixels rises by 1
    region = np.zeros((1, 31, 31), bool)
    region[0, 5:26, 5:26] = True  # less 6 on each side: 9 x 9 pixels, which the box just covers
    expected = (80 * 1 + 80) / 81
    np.testing.assert_allclose(region_detail(picture, region, ONE), [expected])


@given(seed=st.integers(0, 9999), sigma=st.floats(0.5, 6))
def test_blur_lowers_and_noise_raises_it(seed, sigma):
    true, region = faces(seed)
    before = region_detail(true, region, ONE)
    noisy = np.clip(true + np.random.default_rng(seed).normal(0, 4 * sigma, true.shape), 0, 255)
    soft, softer = (region_detail(blurred(true, s), region, ONE) for s in (sigma, 2 * sigma))
    assert sharpness(before, before) == 1
    assert sharpness(softer, before) < sharpness(soft, before) < 1
    assert sharpness(region_detail(noisy, region, ONE), before) > 1


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0])
def test_no_pixel_outside_the_region_counts(scale):
    pictures, region = faces()
    other = np.where(region[..., None], pictures, 255.0 - pictures)
    scales = np.array([scale])
    np.testing.assert_allclose(
        region_detail(pictures, region, scales), region_detail(other, region, scales)
    )


def test_neither_light_nor_a_slope_is_detail():
    x = np.arange(64.0)
    slope = np.broadcast_to((x + 2 * x[:, None])[..., None], (1, 64, 64, 3))
    _, region = faces()
    np.testing.assert_allclose(region_detail(slope, region, ONE), [0], atol=1e-9)


def test_a_face_of_twice_the_size_is_as_sharp():
    true, region = faces()
    predicted = blurred(true, 1.5)

    def large(pictures):
        return np.clip(zoom(pictures, (1, 2, 2, 1), order=1), 0, 255)

    small = sharpness(*(region_detail(p, region, ONE) for p in (predicted, true)))
    doubled = region.repeat(2, axis=1).repeat(2, axis=2)
    twice = sharpness(*(region_detail(large(p), doubled, 2 * ONE) for p in (predicted, true)))
    assert twice == pytest.approx(small, abs=0.03)


def test_a_hole_thinner_than_the_margins_weighs_nothing():
    pictures, region = faces(n=2)
    region[1] = False
    region[1, :, 30:34] = True
    detail = region_detail(pictures, region, np.ones(2))
    assert detail[0] > 0
    assert detail[1] == 0
    assert sharpness(detail / 2, detail) == 0.5


def test_one_true_face_out_of_focus_does_not_rule():
    true, predicted = np.array([4.0] * 9 + [0.01]), np.array([2.0] * 10)
    assert sharpness(predicted, true) == pytest.approx(20 / 36.01)
    assert np.isnan(sharpness(predicted, np.zeros(10)))


def test_kinds_of_array_agree():
    pictures, region = faces(n=3)
    pictures = pictures.astype(np.uint8)
    scales = np.array([0.5, 1.0, 1.2])
    expected = region_detail(pictures, region, scales)
    assert expected.shape == (3,)
    assert expected.dtype == np.float64
    tensors = (torch.tensor(pictures), torch.tensor(region), torch.tensor(scales))
    np.testing.assert_array_equal(region_detail(*tensors), expected)
    grey = region_detail(pictures[..., :1], region, scales)
    assert grey.shape == (3,)


def test_refuses_bad_input():
    pictures, region = faces(n=2)
    for scale in (ONE, np.array([1.0, 0.0]), np.array([1.0, np.nan]), np.float64(1)):
        with pytest.raises(ValueError, match="scale must hold 2"):
            region_detail(pictures, region, scale)
    with pytest.raises(ValueError, match="no pixels"):
        region_detail(pictures, region & False, np.ones(2))
    with pytest.raises(ValueError, match="shape"):
        region_detail(pictures[0], region, np.ones(2))
    with pytest.raises(ValueError, match="one shape"):
        sharpness(np.ones(3), np.ones(2))
    for bad in ([1.0, np.nan], [1.0, -1.0], [np.inf, 1.0]):
        with pytest.raises(ValueError, match="finite and 0 or more"):
            sharpness(np.array(bad), np.ones(2))
