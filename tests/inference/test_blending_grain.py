import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.inference.blending import grain_of, grained

SIDE = 100


def grainy(strength: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, strength, (SIDE, SIDE))
    return np.repeat((120 + noise).clip(0, 255)[..., None], 3, axis=2).astype(np.float32)


def middle() -> np.ndarray:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[30:70, 30:70] = True
    return hole


@pytest.mark.parametrize("strength", [1.0, 4.0, 10.0])
def test_the_strength_of_white_noise_is_found(strength):
    everywhere = np.ones((SIDE, SIDE), bool)
    assert grain_of(grainy(strength), everywhere) == pytest.approx(strength, rel=0.1)


def test_an_edge_is_no_grain():
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[:, 50:] = 255
    assert grain_of(picture, np.ones((SIDE, SIDE), bool)) < 0.001


def test_few_pixels_tell_nothing():
    few = np.zeros((SIDE, SIDE), bool)
    few[0, :40] = True
    assert grain_of(grainy(5.0), few) == 0


def test_a_smooth_fill_gets_half_the_grain_of_what_is_around_it():
    picture, filled = grainy(3.0).astype(np.uint8), np.full((SIDE, SIDE, 3), 130, np.float32)
    answer = grained(filled, picture, middle(), ~middle())
    assert grain_of(answer, middle()) == pytest.approx(1.5, rel=0.15)
    np.testing.assert_array_equal(answer[~middle()], filled[~middle()])
    np.testing.assert_array_equal(answer, grained(filled, picture, middle(), ~middle()))


@given(seen=st.floats(0, 8), has=st.floats(0, 8))
def test_grain_is_only_added_where_it_lacks(seen, has):
    picture, filled = grainy(seen).astype(np.uint8), grainy(has, seed=1)
    answer = grained(filled, picture, middle(), ~middle())
    if has > seen + 1:
        np.testing.assert_array_equal(answer, filled)
    assert grain_of(answer, middle()) >= grain_of(filled, middle()) - 0.3
