from __future__ import annotations

import cv2
import numpy as np
import pytest

from unmask.face_model.glasses import draw_glasses
from unmask.face_model.hair import HairSharpener
from unmask.face_model.head_matte import HeadMatting
from unmask.face_model.photographic import background, fine_texture, simulate_camera

SIZE = 96


@pytest.mark.parametrize("size", [64, 128, 256])
def test_backgrounds_fill_the_frame_within_range(size):
    for seed in range(12):
        field = background(size, np.random.default_rng(seed))
        assert field.shape == (size, size, 3)
        assert field.min() >= 0
        assert field.max() <= 255


def test_a_simulated_camera_keeps_the_picture():
    face = cv2.resize(np.random.default_rng(0).uniform(60, 190, (6, 6, 3)), (SIZE, SIZE))
    photo = simulate_camera(face.astype(np.float32), np.random.default_rng(1))
    assert photo.dtype == np.uint8
    assert np.corrcoef(photo.ravel(), face.ravel())[0, 1] > 0.9


def test_fine_texture_has_no_tone_of_its_own():
    noise = fine_texture(128, np.random.default_rng(0))
    assert abs(noise.mean()) < 0.1
    assert 0.3 < noise.std() < 1.5


def test_glasses_touch_the_eyes_and_not_the_chin(plain_landmarks):
    landmarks = plain_landmarks * SIZE - 0.5
    face = np.full((SIZE, SIZE, 3), 200, np.float32)
    worn = draw_glasses(face, landmarks, np.random.default_rng(0))
    changed = np.abs(worn - face).max(2) > 20
    top, bottom = landmarks[17:27, 1].min() - 6, landmarks[33, 1]
    assert changed[int(top) : int(bottom)].any()
    assert not changed[int(bottom) + 4 :].any()


def test_a_head_stands_out_of_a_plain_background(plain_landmarks):
    image = np.full((SIZE, SIZE, 3), (30, 90, 160), np.uint8)
    box = ((SIZE / 2, 0.45 * SIZE), (0.7 * SIZE, 1.2 * SIZE), 0.0)
    cv2.ellipse(image, box, (200, 150, 130), -1)
    matting = HeadMatting(plain_landmarks * SIZE - 0.5, SIZE)
    matte = matting.matte(image, np.ones((SIZE, SIZE), np.bool_))
    assert matte[SIZE // 2, SIZE // 2] == 255
    assert matte[SIZE // 4, 1] < 20


def test_a_sharpened_hairline_leaves_the_face_alone():
    weight = np.full((64, 64), 0.5, np.float32)
    weight[16:60, 16:48] = 1.0
    texture = np.full((64, 64, 3), 180, np.float32)
    texture[:12] = 40
    sharpened = HairSharpener(weight).sharpen_hairline(
        texture, weight > 0, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(sharpened[20:58, 18:46], texture[20:58, 18:46])
    assert sharpened[:10].std() > 1
