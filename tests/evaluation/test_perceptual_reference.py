"""The perceptual distance of real features: what it must see, and what must not matter."""

import cv2
import numpy as np
import pytest

from unmask.evaluation.perceptual import PerceptualReference
from unmask.faces.sources import Sampled

SIDE = 256


@pytest.fixture(scope="module")
def faces():
    """(images (4, 256, 256, 3), holes (4, 256, 256), landmarks (4, 68, 2)) of nobody."""
    found = [Sampled(3, index, SIDE).read() for index in range(4)]
    holes = np.zeros((4, SIDE, SIDE), bool)
    holes[:, 130:230, 60:196] = True
    return np.stack([f.image for f in found]), holes, np.stack([f.landmarks for f in found])


def filled(images, holes, change) -> np.ndarray:
    return np.where(holes[..., None], np.stack([change(image) for image in images]), images)


def blur(sigma: float):
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def test_the_truth_is_at_no_distance_and_more_blur_at_more(faces):
    images, holes, landmarks = faces
    truth = PerceptualReference(images, holes, landmarks)
    assert (truth.distances(images) == 0).all()
    found = [truth.distances(filled(images, holes, blur(s))) for s in (1, 2, 4, 8)]
    assert (np.diff(found, axis=0) > 0).all()


def test_blur_costs_more_than_a_shift_that_costs_psnr_as_much(faces):
    """A sharp face that is a little out of place is closer than a blurred one in its place."""
    images, holes, landmarks = faces
    shifted = filled(images, holes, lambda image: np.roll(image, 4, axis=1))
    error = np.square(shifted.astype(float) - images).mean(axis=(1, 2, 3))
    blurred = filled(images, holes, blur(4))
    assert (np.square(blurred.astype(float) - images).mean(axis=(1, 2, 3)) < error).all()
    truth = PerceptualReference(images, holes, landmarks)
    assert (truth.distances(shifted) < truth.distances(blurred)).all()


def test_neither_resolution_nor_place_in_the_picture_matters(faces):
    images, holes, landmarks = faces
    pasted = filled(images, holes, blur(3))
    expected = PerceptualReference(images, holes, landmarks).distances(pasted)

    def elsewhere(pictures):
        """Twice as large, and 40 pixels further to the right and below."""
        large = pictures.repeat(2, axis=1).repeat(2, axis=2)
        return np.pad(large, ((0, 0), (40, 0), (40, 0)) + ((0, 0),) * (pictures.ndim - 3), "edge")

    points = (2 * (landmarks + 0.5) - 0.5 + 40).astype(np.float32)
    truth = PerceptualReference(elsewhere(images), elsewhere(holes), points)
    np.testing.assert_allclose(truth.distances(elsewhere(pasted)), expected, rtol=0.02)


def test_faces_are_scored_one_by_one(faces):
    images, holes, landmarks = faces
    pasted = filled(images, holes, blur(3))
    expected = PerceptualReference(images, holes, landmarks).distances(pasted)
    many = PerceptualReference(*(np.concatenate([a] * 5) for a in (images, holes, landmarks)))
    found = many.distances(np.concatenate([pasted] * 5)).reshape(5, 4)
    np.testing.assert_allclose(found, np.broadcast_to(expected, (5, 4)), rtol=1e-4)
