import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.inference.blending import high_pass, lost_sharpness, sharpened

SIDE, MOST = 96, 1.5


def textured(seed: int, smooth: float = 0.8) -> np.ndarray:
    """A picture (SIDE, SIDE, 3) uint8 of detail at every scale down to `smooth` pixels."""
    noise = np.random.default_rng(seed).normal(128, 40, (SIDE, SIDE, 3))
    return cv2.GaussianBlur(noise, (0, 0), smooth).clip(0, 255).astype(np.uint8)


def middle() -> np.ndarray:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[30:70, 30:70] = True
    return hole


def matched(
    filled: np.ndarray, picture: np.ndarray, hole: np.ndarray, around: np.ndarray, most: float
) -> np.ndarray:
    return sharpened(filled, hole, lost_sharpness(filled, picture, around, most))


def energy(picture: np.ndarray) -> float:
    return float(np.abs(high_pass(picture.astype(np.float32)))[middle()].mean())


@given(seed=st.integers(0, 99), x=st.floats(0.1, 0.9), y=st.floats(0.1, 0.9))
def test_what_resampling_took_from_a_hole_is_given_back(seed, x, y):
    picture, hole = textured(seed), middle()
    shift = np.array([[1, 0, x], [0, 1, y]])
    moved = cv2.warpAffine(picture, shift, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    softened = moved.astype(np.float32)
    answer = matched(softened, picture, hole, ~hole, MOST)
    assert energy(softened) < 0.95 * energy(picture)
    assert energy(softened) < energy(answer) < 1.1 * energy(picture)
    np.testing.assert_array_equal(answer[~hole], softened[~hole])


@given(seed=st.integers(0, 99))
def test_it_never_takes_detail_and_never_gives_more_than_half_as_much_again(seed):
    soft, fine, hole = textured(seed, 3.0), textured(seed, 0.5), middle()
    np.testing.assert_array_equal(matched(fine.astype(np.float32), soft, hole, ~hole, MOST), fine)
    answer = matched(soft.astype(np.float32), fine, hole, ~hole, MOST)
    assert energy(answer) == pytest.approx(energy(soft) * (1 + 0.5 * _kept(soft)), rel=0.05)


def test_the_most_that_is_given_back_is_a_setting():
    soft, fine, hole = textured(0, 3.0), textured(0, 0.5), middle()
    given_back = [
        energy(matched(soft.astype(np.float32), fine, hole, ~hole, most))
        for most in (1.0, 1.5, 2.0)
    ]
    assert given_back[0] == energy(soft)
    assert given_back[0] < given_back[1] < given_back[2]


def _kept(picture: np.ndarray) -> float:
    """How much of added detail is still fine detail."""
    detail = high_pass(picture.astype(np.float32))
    return float(np.abs(high_pass(detail))[middle()].mean() / np.abs(detail)[middle()].mean())


@pytest.mark.parametrize("around", [np.zeros((SIDE, SIDE), bool), ~middle()])
def test_surroundings_that_tell_nothing_change_nothing(around):
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    np.testing.assert_array_equal(
        matched(flat.astype(np.float32), flat, middle(), around, MOST), flat
    )
