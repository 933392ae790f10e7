import numpy as np
import pytest

from unmask.config.restore import Border, Widening
from unmask.inference import mask_refinement
from unmask.inference.mask_refinement import confirms_mask, next_frame

SIDE = 64
#: A frame in the middle of a picture of 3 x 3 frames.
MIDDLE = np.array([[1.0, 0.0, -SIDE], [0.0, 1.0, -SIDE]])
PICTURE = (3 * SIDE, 3 * SIDE, 3)
SETTINGS = Widening()


def wider_frame(probability: np.ndarray, transform: np.ndarray, shape: tuple) -> np.ndarray | None:
    return mask_refinement.wider_frame(
        probability, transform, shape, SETTINGS.at_border, SETTINGS.zoom
    )


def mask(rows: slice, columns: slice) -> np.ndarray:
    probability = np.zeros((SIDE, SIDE), np.float32)
    probability[rows, columns] = 0.9
    return probability


def shown(transform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of the picture that a frame shows: (x0, y0), (x1, y1)."""
    linear, shift = transform[:, :2], transform[:, 2]
    return tuple(np.linalg.solve(linear, corner - shift) for corner in ([0, 0], [SIDE - 1] * 2))


def test_a_mask_within_the_frame_needs_no_wider_one():
    assert wider_frame(mask(slice(20, 50), slice(20, 50)), MIDDLE, PICTURE) is None


def test_a_mask_cut_below_gets_a_frame_further_down():
    low, high = shown(wider_frame(mask(slice(40, SIDE), slice(20, 40)), MIDDLE, PICTURE))
    assert low[1] == pytest.approx(SIDE)
    assert high[1] > 2 * SIDE + 5
    assert (low[0] - SIDE) == pytest.approx(2 * SIDE - 1 - high[0])


@pytest.mark.parametrize("left", [True, False])
def test_a_mask_cut_at_one_side_gets_a_frame_further_there(left):
    columns = slice(0, 20) if left else slice(44, SIDE)
    low, high = shown(wider_frame(mask(slice(20, 40), columns), MIDDLE, PICTURE))
    if left:
        assert low[0] < SIDE - 5
        assert high[0] == pytest.approx(2 * SIDE - 1)
    else:
        assert low[0] == pytest.approx(SIDE)
        assert high[0] > 2 * SIDE + 5


def test_what_the_picture_does_not_show_is_not_looked_for():
    whole = np.eye(2, 3)
    assert wider_frame(mask(slice(0, SIDE), slice(0, SIDE)), whole, (SIDE, SIDE, 3)) is None


def test_a_stretch_of_mask_near_the_border_is_looked_at_if_more_of_it_shows():
    near = mask(slice(30, SIDE - 3), slice(20, 40))
    wider, least = next_frame(near, MIDDLE, PICTURE, SETTINGS)
    assert wider is not None
    assert least > 1
    strap = mask(slice(30, 34), slice(20, SIDE - 3))
    assert next_frame(strap, MIDDLE, PICTURE, SETTINGS) == (None, 0.0)


def test_how_near_the_border_counts_and_how_much_wider_it_gets_are_settings():
    near = mask(slice(30, SIDE - 3), slice(20, 40))
    closer = Border(distance=0.03, stretch=0.15, growth=1.02)
    assert next_frame(near, MIDDLE, PICTURE, Widening(near_border=closer)) == (None, 0.0)
    half, _ = next_frame(near, MIDDLE, PICTURE, Widening(zoom=0.5))
    low, high = shown(half)
    assert high[0] - low[0] == pytest.approx(2 * (SIDE - 1))


def test_a_wider_frame_must_show_the_same_mask():
    seen = mask(slice(30, SIDE), slice(20, 40))
    wider = wider_frame(seen, MIDDLE, PICTURE)
    (x0, _), (x1, _) = shown(wider)
    scale = SIDE / (x1 - x0)
    columns = slice(round((84 - x0) * scale), round((104 - x0) * scale))
    more, other = mask(slice(25, SIDE - 3), columns), mask(slice(0, 20), slice(0, 20))
    assert confirms_mask(seen, MIDDLE, more, wider, 1.02, 0.8)
    assert not confirms_mask(seen, MIDDLE, other, wider, 0.0, 0.8)
    assert not confirms_mask(seen, MIDDLE, more, wider, 3.0, 0.8)
