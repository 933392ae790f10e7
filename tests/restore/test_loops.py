import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.faces.landmarks import JAW, OUTER_EYE_CORNERS
from unmask.restore.loops import with_loops

SIDE = 128
SKIN, WHITE, BLACK = (205, 160, 135), (245, 245, 245), (20, 20, 25)
MASK = (slice(60, 110), slice(36, 92))
EYE_LEVEL = 50
ALL = np.ones((SIDE, SIDE), bool)


def landmarks() -> np.ndarray:
    points = np.full((68, 2), 64, np.float32)
    points[JAW] = np.stack([np.linspace(24, 104, 17), [112] * 17], axis=1)
    points[list(OUTER_EYE_CORNERS)] = [(40, EYE_LEVEL), (88, EYE_LEVEL)]
    return points


def face(*lines: tuple[tuple[int, int], tuple[int, int]], colour=WHITE, width=2, seed=0):
    """Skin and a blue mask, lines (x, y) to (x, y), and where the mask is."""
    rng = np.random.default_rng(seed)
    crop = np.full((SIDE, SIDE, 3), SKIN, np.uint8)
    for start, end in lines:
        cv2.line(crop, start, end, colour, width)
    crop[MASK] = (60, 90, 160)
    noisy = crop + rng.normal(0, 2, crop.shape)
    probability = np.zeros((SIDE, SIDE), np.float32)
    probability[MASK] = 0.9
    return noisy.clip(0, 255).astype(np.uint8), probability


def drawn(start: tuple[int, int], end: tuple[int, int]) -> np.ndarray:
    line = cv2.line(np.zeros((SIDE, SIDE), np.uint8), start, end, 1, 1).astype(bool)
    line[MASK] = False
    return line


@pytest.mark.parametrize("colour", [WHITE, BLACK])
@pytest.mark.parametrize("loop", [((91, 64), (116, 54)), ((36, 104), (14, 92))])
def test_a_loop_over_the_cheek_is_found_and_nothing_else(colour, loop):
    crop, probability = face(loop, colour=colour)
    covered = with_loops(crop, probability, landmarks(), ALL) > 0.5
    line = drawn(*loop)
    assert covered[line].mean() > 0.95
    near = cv2.dilate(line.astype(np.uint8), np.ones((9, 9))).astype(bool)
    near[MASK] = True
    assert not covered[~near].any()


@pytest.mark.parametrize(
    ("line", "width"),
    [
        (((100, 70), (120, 60)), 2),  # does not reach the mask
        (((64, 60), (60, 40)), 2),  # between the eyes, as glasses have it
        (((91, 64), (116, 54)), 14),  # as broad as hair
        (((91, 118), (120, 118)), 2),  # below the chin, as a collar is
        (((92, 80), (96, 80)), 2),  # too short
    ],
)
def test_other_lines_stay(line, width):
    crop, probability = face(line, width=width)
    np.testing.assert_array_equal(with_loops(crop, probability, landmarks(), ALL), probability)


@given(
    seed=st.integers(0, 99), x=st.integers(96, 127), y=st.integers(30, 110), width=st.integers(1, 9)
)
def test_it_only_adds(seed, x, y, width):
    crop, probability = face(((91, 70), (x, y)), width=width, seed=seed)
    covered = with_loops(crop, probability, landmarks(), ALL)
    assert covered.dtype == np.float32
    assert (covered >= probability).all()


def test_a_face_without_a_mask_has_no_loops():
    crop, probability = face(((91, 64), (116, 54)))
    nothing = np.zeros_like(probability)
    np.testing.assert_array_equal(with_loops(crop, nothing, landmarks(), ALL), nothing)


def test_what_the_picture_does_not_show_has_no_loops():
    crop, probability = face(((91, 64), (116, 54)))
    seen = ALL.copy()
    seen[:, 94:] = False
    covered = with_loops(crop, probability, landmarks(), seen)
    np.testing.assert_array_equal(covered, probability)
