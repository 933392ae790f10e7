"""The released weights on photos that are not plain portraits, made of synthetic faces."""

from functools import cache

import cv2
import numpy as np
import pytest

from unmask.faces.sources import Sampled
from unmask.inference.chain import Chain
from unmask.inference.photo import PhotoRestorer
from unmask.masking import FABRICS, MASK_TYPES, WEARS, put_on
from unmask.networks import RELEASED

pytestmark = pytest.mark.slow


@cache
def chain() -> Chain:
    return Chain.load(RELEASED)


@cache
def photos() -> PhotoRestorer:
    return PhotoRestorer(chain())


@cache
def masked_face(index: int, side: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """A masked synthetic face and its mask."""
    face = Sampled(11, index, side).read()
    masked = put_on(
        face.image,
        face.landmarks,
        np.random.default_rng(index),
        types=dict.fromkeys(MASK_TYPES, 0.0) | {"surgical": 1.0, "kn95": 1.0, "cloth": 1.0},
        fabrics=dict.fromkeys(FABRICS, 0.0) | {"plain": 1.0},
        wear=dict.fromkeys(WEARS, 0.0) | {"proper": 1.0},
    )
    return masked.image, masked.mask


def shown(
    faces: list[tuple[int, np.ndarray]], height: int = 480, width: int = 640
) -> tuple[np.ndarray, np.ndarray]:
    """A photo with masked faces, each moved by a (2, 3) matrix, and all their masks."""
    photo, masks = np.full((height, width, 3), 127, np.uint8), np.zeros((height, width), bool)
    for index, matrix in faces:
        face, mask = masked_face(index)
        cover = cv2.warpAffine(np.ones(face.shape[:2], np.uint8), matrix, (width, height)) > 0
        moved = cv2.warpAffine(face, matrix, (width, height), flags=cv2.INTER_AREA)
        photo[cover] = moved[cover]
        masks |= cv2.warpAffine(mask.astype(np.uint8), matrix, (width, height)) > 0
    return photo, masks


def at(x: float, y: float, scale: float = 1.0, degrees: float = 0.0) -> np.ndarray:
    """Moves a face of 256 pixels so that its centre lies at (x, y)."""
    matrix = cv2.getRotationMatrix2D((127.5, 127.5), degrees, scale)
    matrix[:, 2] += np.array([x, y]) - 127.5
    return matrix


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(
    "matrix",
    [at(320, 240), at(320, 240, 1.7), at(300, 200, 0.4), at(320, 240, degrees=25), at(85, 240)],
    ids=["plain", "large", "small", "tilted", "cut"],
)
def test_a_face_is_restored_and_all_else_stays(matrix):
    photo, mask = shown([(0, matrix)])
    restored = photos().restore(photo)
    assert [face.status for face in restored.faces] == ["restored"]
    assert iou(restored.mask, mask) > 0.8
    far = cv2.dilate(restored.hole.astype(np.uint8), np.ones((31, 31), np.uint8)) == 0
    np.testing.assert_array_equal(restored.picture[far], photo[far])
    assert (restored.picture[restored.hole] != photo[restored.hole]).any(axis=1).mean() > 0.9


def test_two_faces_are_both_restored():
    photo, mask = shown([(1, at(170, 240)), (2, at(470, 240))])
    restored = photos().restore(photo)
    assert [face.status for face in restored.faces] == ["restored", "restored"]
    assert iou(restored.mask, mask) > 0.8


def test_a_grey_photo_is_restored_nearly_grey():
    photo, _ = shown([(0, at(320, 240))])
    grey = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    restored = photos().restore(grey)
    assert [face.status for face in restored.faces] == ["restored"]
    assert np.ptp(restored.picture.astype(int), axis=2)[restored.hole].mean() < 12


def test_bare_faces_stay_as_they_are():
    bare = [Sampled(11, index, 256).read().image for index in range(12)]
    statuses = [chain().restore(face).faces[0].status for face in bare]
    assert statuses.count("no_mask") >= 11


def test_the_same_photo_gives_the_same_pixels():
    photo, _ = shown([(3, at(320, 240))])
    one, two = (PhotoRestorer(Chain.load(RELEASED)).restore(photo).picture for _ in range(2))
    np.testing.assert_array_equal(one, two)
