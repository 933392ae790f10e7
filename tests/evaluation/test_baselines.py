import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.evaluation.baselines import EigenfaceFill, MeanFace, navier_stokes, telea


def low_rank_faces(n=60, side=32, rank=5, seed=0):
    """Smooth faces from a linear model of few factors, within 0..255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    patterns = [
        np.cos(np.pi * (i * x + j * y)) for i, j in [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2)]
    ]
    basis = np.stack(patterns[:rank])[..., None] * rng.normal(size=(rank, 1, 1, 3))
    weights = rng.uniform(-15, 15, (n, rank))
    return (
        np.clip(128 + np.einsum("nk,khwc->nhwc", weights, basis), 0, 255).round().astype(np.uint8)
    )


def lower_half(side):
    hole = np.zeros((side, side), bool)
    hole[side // 2 :, side // 4 : -side // 4] = True
    return hole


@pytest.fixture(scope="module")
def train():
    images = low_rank_faces()
    return images, np.ones(images.shape[:3], bool)


@pytest.fixture(scope="module")
def fills(train):
    return {
        "mean": MeanFace.fit(*train).fill,
        "eigen": EigenfaceFill.fit(*train, components=5).fill,
        "telea": telea,
        "navier_stokes": navier_stokes,
    }


@pytest.mark.parametrize("name", ["mean", "eigen", "telea", "navier_stokes"])
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 0.9))
def test_contract(fills, name, seed, share):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    hole = rng.random((32, 32)) < share
    before = image.copy()
    filled = fills[name](image, hole)
    assert (filled.dtype, filled.shape) == (np.uint8, image.shape)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    np.testing.assert_array_equal(image, before)
    scrambled = np.where(hole[..., None], rng.integers(0, 256, image.shape, dtype=np.uint8), image)
    np.testing.assert_array_equal(fills[name](scrambled, hole), filled)


def test_mean_face_by_hand():
    images = np.zeros((3, 2, 2, 3), np.uint8)
    images[0], images[1], images[2] = 10, 20, 90
    valid = np.ones((3, 2, 2), bool)
    valid[2, 0] = False
    valid[:, 1, 1] = False
    mean = MeanFace.fit(images, valid)
    np.testing.assert_allclose(mean.face[0], 15)
    np.testing.assert_allclose(mean.face[1, 0], 40)
    np.testing.assert_allclose(mean.face[1, 1], (15 * 4 + 40 * 3) / 7)
    filled = mean.fill(np.full((2, 2, 3), 7, np.uint8), np.array([[1, 0], [0, 1]], bool))
    np.testing.assert_array_equal(filled[..., 0], [[15, 7], [7, 26]])


def test_inpainting_of_a_plain_picture_is_plain():
    image = np.full((32, 32, 3), 77, np.uint8)
    np.testing.assert_array_equal(navier_stokes(image, lower_half(32)), image)
    # OpenCV's Telea is a few grey levels off even here.
    np.testing.assert_allclose(telea(image, lower_half(32)), image, atol=4)


def test_eigenfaces_recover_faces_of_their_model(train):
    unseen = low_rank_faces(seed=0, n=80)[60:]
    fill = EigenfaceFill.fit(*train, components=5).fill
    mean = MeanFace.fit(*train).fill
    hole = lower_half(32)

    def error(f):
        return np.mean([np.abs(f(i, hole)[hole] - i[hole].astype(float)).mean() for i in unseen])

    assert error(fill) < 1
    assert error(fill) < error(mean) / 10


def test_eigenface_coefficients_agree_with_dense_posterior():
    images = low_rank_faces(side=16)
    model = EigenfaceFill.fit(images, np.ones(images.shape[:3], bool), components=5)
    image, hole = images[0], lower_half(16)
    visible = np.repeat(~hole.ravel(), 3)
    u = model.components.astype(float)
    # The conditional mean of a Gaussian of covariance U diag(1 / ridge) U' + I.
    covariance = u @ np.diag(1 / model.ridge) @ u.T + np.eye(len(u))
    residual = image.ravel()[visible] - model.mean.ravel()[visible]
    gain = covariance[np.ix_(~visible, visible)] @ np.linalg.inv(
        covariance[np.ix_(visible, visible)]
    )
    expected = np.clip(model.mean.ravel()[~visible] + gain @ residual, 0, 255)
    filled = model.fill(image, hole).ravel()[~visible]
    assert np.abs(filled - expected).max() <= 0.51


def test_eigenface_subspace_agrees_with_full_svd(train):
    model = EigenfaceFill.fit(*train, components=3)
    flat = train[0].reshape(60, -1).astype(float)
    rows = np.linalg.svd(flat - flat.mean(0), full_matrices=False)[2][:3]
    np.testing.assert_allclose(model.mean.ravel(), flat.mean(0), atol=1e-3)
    cosines = np.linalg.svd(rows @ model.components, compute_uv=False)
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


def test_eigenfaces_without_visible_pixels_are_the_mean(train):
    model = EigenfaceFill.fit(*train, components=5)
    everything = np.ones((32, 32), bool)
    expected = np.rint(model.mean)
    np.testing.assert_array_equal(model.fill(train[0][0], everything), expected)


def test_larger_pictures_are_reduced(train):
    large = np.stack([cv2.resize(i, (96, 80)) for i in train[0]])
    model = EigenfaceFill.fit(large, np.ones(large.shape[:3], bool), components=5, size=24)
    assert model.mean.shape == (24, 24, 3)
    hole = np.zeros((80, 96), bool)
    hole[40:, 20:70] = True
    difference = model.fill(large[3], hole)[hole] - large[3][hole].astype(float)
    assert np.abs(difference).mean() < 3


def test_invalid_training_pixels_do_not_count(train):
    images, valid = train[0].copy(), train[1].copy()
    valid[::2, :6] = False
    garbage = images.copy()
    garbage[::2, :6] = 255
    for fit in (MeanFace.fit, lambda i, v: EigenfaceFill.fit(i, v, components=5)):
        np.testing.assert_array_equal(
            fit(images, valid).fill(images[0], lower_half(32)),
            fit(garbage, valid).fill(images[0], lower_half(32)),
        )


def test_refuses_bad_input(train):
    image, hole = train[0][0], lower_half(32)
    for fill in (telea, navier_stokes):
        with pytest.raises(ValueError, match="whole picture"):
            fill(image, np.ones_like(hole))
    with pytest.raises(ValueError, match="fit together"):
        telea(image, hole[:5])
    with pytest.raises(ValueError, match="types"):
        MeanFace.fit(*train).fill(image.astype(float), hole)
    with pytest.raises(ValueError, match="no valid pixels"):
        MeanFace.fit(train[0], ~train[1])
    with pytest.raises(ValueError, match="60 components"):
        EigenfaceFill.fit(*train, components=60)
