import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.config.restore import Blending
from unmask.inference.blending import estimate_grain, grained, missing_grain

SIDE, SETTINGS = 100, Blending()


def grainy(strength: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, strength, (SIDE, SIDE))
    return np.repeat((120 + noise).clip(0, 255)[..., None], 3, axis=2).astype(np.float32)


def middle() -> np.ndarray:
    hole = np.zeros((SIDE, SIDE), bool)
    hole[30:70, 30:70] = True
    return hole


def matched(
    filled: np.ndarray,
    picture: np.ndarray,
    hole: np.ndarray,
    around: np.ndarray,
    settings: Blending,
) -> np.ndarray:
    strength = missing_grain(filled, picture, hole, around, settings)
    return grained(filled, hole, strength, np.random.default_rng(0))


@pytest.mark.parametrize("strength", [1.0, 4.0, 10.0])
def test_the_strength_of_white_noise_is_found(strength):
    everywhere = np.ones((SIDE, SIDE), bool)
    assert estimate_grain(grainy(strength), everywhere) == pytest.approx(strength, rel=0.1)


def test_an_edge_is_no_grain():
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[:, 50:] = 255
    assert estimate_grain(picture, np.ones((SIDE, SIDE), bool)) < 0.001


def test_few_pixels_tell_nothing():
    few = np.zeros((SIDE, SIDE), bool)
    few[0, :40] = True
    assert estimate_grain(grainy(5.0), few) == 0


def test_a_smooth_fill_gets_half_the_grain_of_what_is_around_it():
    picture, filled = grainy(3.0).astype(np.uint8), np.full((SIDE, SIDE, 3), 130, np.float32)
    answer = matched(filled, picture, middle(), ~middle(), SETTINGS)
    assert estimate_grain(answer, middle()) == pytest.approx(1.5, rel=0.15)
    np.testing.assert_array_equal(answer[~middle()], filled[~middle()])
    np.testing.assert_array_equal(answer, matched(filled, picture, middle(), ~middle(), SETTINGS))


@pytest.mark.parametrize(
    ("settings", "strength"),
    [(Blending(grain=1.0), 3.0), (Blending(strongest_grain=1.0), 1.0), (Blending(grain=0.0), 0.0)],
)
def test_share_and_strongest_grain_are_settings(settings, strength):
    picture, filled = grainy(3.0).astype(np.uint8), np.full((SIDE, SIDE, 3), 130, np.float32)
    answer = matched(filled, picture, middle(), ~middle(), settings)
    assert estimate_grain(answer, middle()) == pytest.approx(strength, rel=0.15, abs=0.01)


@given(seen=st.floats(0, 8), has=st.floats(0, 8))
def test_grain_is_only_added_where_it_lacks(seen, has):
    picture, filled = grainy(seen).astype(np.uint8), grainy(has, seed=1)
    answer = matched(filled, picture, middle(), ~middle(), SETTINGS)
    if has > seen + 1:
        np.testing.assert_array_equal(answer, filled)
    assert estimate_grain(answer, middle()) >= estimate_grain(filled, middle()) - 0.3
