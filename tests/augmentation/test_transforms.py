import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.augmentation.transforms import (
    apply_camera,
    jitter,
    print_on_mask,
    random_resized_crop,
    view,
)
from unmask.config.augment import Camera, Geometry, Print
from unmask.faces.sources import Sampled
from unmask.geometry.landmarks import mirrored

SIZE = 96
SPREAD = Geometry(scale=(0.8, 1.3), roll=10.0, shift=0.06)


def marked(landmark: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dark picture with a bright spot on one landmark, and a mask around it."""
    landmarks = Sampled(4, 0, SIZE).read().landmarks
    y, x = np.mgrid[:SIZE, :SIZE]
    square = (x - landmarks[landmark, 0]) ** 2 + (y - landmarks[landmark, 1]) ** 2
    image = np.repeat((255 * np.exp(-square / 8))[..., None], 3, 2).astype(np.uint8)
    return image, square < 36, landmarks


def centre(weight: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: len(weight), : len(weight)]
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("flip", [False, True])
@given(seed=st.integers(0, 999), landmark=st.sampled_from([30, 33, 36, 45, 51]))
def test_a_view_keeps_each_landmark_on_its_pixel(flip, seed, landmark):
    matrix = jitter(np.random.default_rng(seed), SIZE, SPREAD)
    image, mask, landmarks = marked(landmark)
    # a reflected crop would show the mark twice
    seen, covered, moved = view(image, mask, landmarks, matrix, flip, SIZE, around=(0, 0, 0))
    # after a flip the landmark has its mirror partner's index
    partner = {36: 45, 45: 36}.get(landmark, landmark) if flip else landmark
    np.testing.assert_allclose(centre(seen[..., 0].astype(float)), moved[partner], atol=0.6)
    np.testing.assert_allclose(centre(covered), moved[partner], atol=0.6)


@given(seed=st.integers(0, 999))
def test_a_flip_mirrors_the_view_that_is_not_flipped(seed):
    rng = np.random.default_rng(seed)
    matrix = jitter(rng, SIZE, SPREAD)
    image = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    mask, landmarks = rng.random((SIZE, SIZE)) < 0.5, Sampled(4, 0, SIZE).read().landmarks
    plain = view(image, mask, landmarks, matrix, False, SIZE)
    flipped = view(image, mask, landmarks, matrix, True, SIZE)
    np.testing.assert_array_equal(flipped[0], plain[0][:, ::-1])
    np.testing.assert_array_equal(flipped[1], plain[1][:, ::-1])
    np.testing.assert_allclose(flipped[2], mirrored(plain[2], SIZE), atol=1e-4)
    assert flipped[0].flags.c_contiguous
    assert flipped[1].dtype == bool


def test_the_identity_view_is_the_picture():
    image, mask, landmarks = marked(30)
    seen, covered, moved = view(image, mask, landmarks, np.eye(2, 3), False, SIZE)
    np.testing.assert_array_equal(seen, image)
    np.testing.assert_array_equal(covered, mask)
    np.testing.assert_allclose(moved, landmarks)


@given(seed=st.integers(0, 9999))
def test_jitter_stays_within_what_is_asked(seed):
    matrix = jitter(
        np.random.default_rng(seed), 100, Geometry(scale=(0.5, 2.0), roll=0.0, shift=0.1)
    )
    assert 0.5 <= np.hypot(*matrix[:, 0]) <= 2
    assert matrix[0, 1] == pytest.approx(0, abs=1e-9)
    moved = matrix @ [49.5, 49.5, 1]
    assert np.abs(moved - 49.5).max() <= 10 + 1e-9


def test_a_narrowed_face_is_as_tall():
    widths = []
    for seed in range(50):
        kept = Geometry(scale=(1.0, 1.0), roll=0.0, shift=0.0)
        matrix = jitter(np.random.default_rng(seed), 100, kept, narrowest=0.5)
        np.testing.assert_allclose(matrix[:, 1], [0, 1], atol=1e-9)
        np.testing.assert_allclose(matrix @ [49.5, 49.5, 1], 49.5)
        widths.append(matrix[0, 0])
    assert 0.5 <= min(widths) < 0.6
    assert 0.9 < max(widths) <= 1


def test_jitter_zooms_in_as_often_as_out():
    rng = np.random.default_rng(0)
    geometry = Geometry(scale=(0.5, 2.0), roll=5.0, shift=0.0)
    zooms = [np.hypot(*jitter(rng, 64, geometry)[:, 0]) for _ in range(400)]
    assert 160 < sum(zoom > 1 for zoom in zooms) < 240


def test_the_camera_follows_its_generator_and_leaves_the_picture_alone():
    image = Sampled(4, 1, 64).read().image
    before = image.copy()
    shots = [
        apply_camera(image, np.random.default_rng(seed), Camera(), 0.25) for seed in (*range(12), 0)
    ]
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(shots[0], shots[-1])
    for shot in shots:
        assert shot.shape == image.shape
        assert shot.dtype == np.uint8
        assert np.abs(shot.astype(float) - image).mean() < 70
    assert sum((shot != image).any() for shot in shots) > 6


@pytest.mark.parametrize("size", [64, 128])
def test_the_camera_enlarges_smoothly(size):
    """Pixels repeated as blocks are no photo's."""
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    for seed in range(60):
        seen = apply_camera(picture, np.random.default_rng(seed), Camera(), 0.0)
        assert (seen[:, 1:] == seen[:, :-1]).all(axis=2).mean() < 0.2, seed


def test_what_a_camera_changes_comes_independently():
    """Colour is lost in one picture of twenty, grain comes in one of four: seldom both."""
    picture = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    seen = [
        apply_camera(picture, np.random.default_rng(seed), Camera(), 0.0) for seed in range(400)
    ]
    grainy = np.array([one.std(axis=(0, 1)).max() > 1 for one in seen])
    means = np.array([one.mean(axis=(0, 1)) for one in seen])
    grey = np.ptp(means, axis=1) < 20
    assert 4 < grey.sum() < 45
    assert 0 < (grey & grainy).sum() < 0.7 * grey.sum()


def test_a_resized_crop_is_of_the_picture_and_fills_its_size():
    rows = np.repeat(np.arange(SIZE, dtype=np.uint8)[:, None, None], SIZE, 1).repeat(3, 2)
    for seed in range(20):
        part = random_resized_crop(rows, np.random.default_rng(seed), (0.33, 0.5))
        assert part.shape == rows.shape
        spread = int(part.max()) - int(part.min())
        assert 0.3 * SIZE < spread < 0.52 * SIZE


@given(seed=st.integers(0, 999))
def test_a_print_stays_on_the_mask_and_takes_its_light(seed):
    rng = np.random.default_rng(seed)
    image = np.full((SIZE, SIZE, 3), 200, np.uint8)
    image[:, : SIZE // 2] = 100
    mask = np.zeros((SIZE, SIZE), bool)
    mask[30:80, 20:76] = True
    seen = print_on_mask(image, mask, np.full_like(image, 60), rng, Print()).astype(int)
    away = np.ones_like(mask)
    away[26:84, 16:80] = False
    np.testing.assert_array_equal(seen[away], image[away])
    changed = mask & (np.abs(seen - image).max(axis=2) > 20)
    assert changed.any()
    left, right = (
        seen[34:76, columns][changed[34:76, columns]] for columns in (slice(24, 44), slice(52, 72))
    )
    if len(left) and len(right):
        assert left.mean() < right.mean()
