"""Black and white stays black and white, sepia keeps its hue, colour is left alone."""

import cv2
import numpy as np
import pytest

from unmask.config.restore import Tone
from unmask.faces.sources import Sampled
from unmask.inference.tone import fit_tone, match_tone

SIDE = 128
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


@pytest.fixture(scope="module")
def colour() -> np.ndarray:
    """A synthetic face among blocks of colour."""
    picture = Sampled(3, 1, SIDE).read().image.copy()
    picture[:24, :40], picture[:24, 40:80] = (30, 90, 200), (190, 60, 40)
    picture[-16:] = (40, 150, 60)
    return picture


@pytest.fixture(scope="module")
def hole() -> np.ndarray:
    where = np.zeros((SIDE, SIDE), bool)
    where[60:110, 30:98] = True
    return where


def grey(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    raw = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(raw, cv2.IMREAD_COLOR)[..., ::-1]


def test_black_and_white_gets_no_colour(colour, hole):
    for quality in (30, 95):
        filled = match_tone(jpeg(grey(colour), quality), colour, hole, Tone())
        spread = filled[hole].astype(int).max(axis=1) - filled[hole].min(axis=1)
        assert spread.max() <= 2
        np.testing.assert_array_equal(filled[~hole], colour[~hole])
        luma = cv2.cvtColor(filled, cv2.COLOR_RGB2GRAY).astype(int)
        assert np.abs(luma - cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))[hole].max() <= 2


def test_sepia_keeps_its_hue(colour, hole):
    sepia = (colour @ SEPIA.T).clip(0, 255).astype(np.uint8)
    filled = match_tone(sepia, colour, hole, Tone())

    def hue_and_saturation(picture: np.ndarray) -> np.ndarray:
        return np.median(cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[hole][:, :2], axis=0)

    np.testing.assert_allclose(hue_and_saturation(filled), hue_and_saturation(sepia), atol=2)


def test_a_photo_in_colour_is_left_alone(colour, hole):
    other = np.roll(colour, 7, axis=0)
    np.testing.assert_array_equal(match_tone(colour, other, hole, Tone()), other)


def test_how_near_one_tone_the_colours_lie_is_a_setting(colour, hole):
    other, tolerant = np.roll(colour, 7, axis=0), Tone(tolerance=255.0)
    assert (match_tone(colour, other, hole, tolerant) != other).any()
    assert fit_tone(grey(colour), ~hole, Tone(tolerance=0.0)) is None


def test_too_little_to_see_says_nothing(colour):
    assert fit_tone(grey(colour), np.zeros((SIDE, SIDE), bool), Tone()) is None
