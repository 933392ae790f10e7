import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.config.restore import MissedPieces
from unmask.inference.mask_refinement import add_missed_pieces

SIDE = 128
SKIN, FABRIC = (205, 160, 135), (60, 90, 160)


def masked_face(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Skin with a mask of two colours, and where the mask is."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((SIDE, SIDE), bool)
    truth[60:110, 30:98] = True
    truth[54:60, 54:74] = True  # at the bridge of the nose
    crop = np.where(truth[..., None], FABRIC, SKIN) + rng.normal(0, 4, (SIDE, SIDE, 1))
    crop[70:80][truth[70:80]] += 50
    return crop.clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize("side", [64, 256])
def test_a_missed_piece_of_the_mask_is_found_and_skin_is_not(side):
    crop, truth = masked_face()
    seen = truth.astype(np.float32)
    seen[:60] = 0
    covered = add_missed_pieces(crop, seen, MissedPieces(side=side)) > 0.5
    assert covered[54:60, 54:74].mean() > 0.95
    assert (covered & ~truth).mean() < 0.002


@given(seed=st.integers(0, 99), cut=st.integers(0, 30))
def test_it_only_adds_and_is_the_same_each_time(seed, cut):
    crop, truth = masked_face(seed)
    seen = truth.astype(np.float32) * 0.8
    seen[: 54 + cut] = 0
    covered = add_missed_pieces(crop, seen, MissedPieces())
    assert covered.dtype == np.float32
    assert (covered >= seen).all()
    np.testing.assert_array_equal(covered, add_missed_pieces(crop, seen, MissedPieces()))


def test_pieces_are_looked_for_within_the_reach():
    crop, truth = masked_face()
    seen = truth.astype(np.float32)
    seen[:60] = 0
    for settings in (MissedPieces(reach=0.01), MissedPieces(largest_mask=0.1)):
        assert not (add_missed_pieces(crop, seen, settings) > 0.5)[54:58].any()


def test_what_looks_like_the_mask_but_does_not_touch_it_stays():
    crop, truth = masked_face()
    crop[20:30, 50:80] = FABRIC
    covered = add_missed_pieces(crop, truth.astype(np.float32), MissedPieces()) > 0.5
    assert not covered[18:32].any()


@pytest.mark.parametrize(
    "seen", [np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)]
)
def test_with_nothing_to_learn_from_nothing_changes(seen):
    crop, _ = masked_face()
    np.testing.assert_array_equal(add_missed_pieces(crop, seen, MissedPieces()), seen)


def test_a_coat_of_the_mask_s_colour_is_no_piece_of_it():
    crop, truth = masked_face()
    crop[105:, :] = np.where(truth[105:, :, None], crop[105:], FABRIC)
    covered = add_missed_pieces(crop, truth.astype(np.float32), MissedPieces()) > 0.5
    assert not (covered & ~truth)[112:].any()
