from __future__ import annotations

import numpy as np
import pytest

from unmask.face_model.appearance_model import AppearanceModel
from unmask.face_model.fit import fit
from unmask.face_model.texture_space import frame_to_texels, mesh


@pytest.mark.parametrize("size", [64, 128, 256])
def test_samples_have_the_size_asked_and_landmarks_near_the_frame(small_model, size):
    face = small_model.sample(np.random.default_rng(1), size)
    assert face.image.shape == (size, size, 3)
    assert face.image.dtype == np.uint8
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32
    assert (face.landmarks > -0.15 * size).all()
    assert (face.landmarks < 1.15 * size).all()


def test_landmarks_scale_with_the_size(small_model):
    small = small_model.sample(np.random.default_rng(4), 64)
    large = small_model.sample(np.random.default_rng(4), 128)
    np.testing.assert_allclose((small.landmarks + 0.5) * 2, large.landmarks + 0.5, atol=1e-3)


def test_the_same_generator_state_gives_the_same_face(small_model):
    first = small_model.sample(np.random.default_rng(7))
    second = small_model.sample(np.random.default_rng(7))
    other = small_model.sample(np.random.default_rng(8))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.landmarks, second.landmarks)
    assert first.gender == second.gender
    assert (first.image != other.image).any()


def test_genders_come_half_and_half_with_ages_and_ethnicities(small_model):
    rng = np.random.default_rng(3)
    faces = [small_model.sample(rng, 32) for _ in range(200)]
    assert 70 < sum(face.gender == "male" for face in faces) < 130
    assert {face.gender for face in faces} == {"male", "female"}
    assert all(face.age is not None and 0 <= face.age <= 90 for face in faces)
    assert {face.ethnicity for face in faces} == set("abc")


@pytest.mark.parametrize("landmark", [8, 30, 36, 45, 48, 54])
def test_a_texel_marked_at_a_landmark_appears_at_that_landmark(small_model, landmark):
    side = small_model.space.size
    mean = small_model.shape.mean.reshape(68, 2)
    texel = frame_to_texels(mean, side)[landmark]
    y, x = np.mgrid[:side, :side].astype(np.float32)
    spot = np.exp(-((x - texel[0]) ** 2 + (y - texel[1]) ** 2) / 2)
    moved = mean + 0.02 * np.random.default_rng(landmark).standard_normal((68, 2))
    layers, landmarks = small_model.render(spot[..., None], mesh(moved), 256)
    found = np.unravel_index(layers.argmax(), layers.shape[:2])[::-1]
    assert np.abs(np.array(found) - landmarks[landmark]).max() < 2.5


def test_a_saved_model_samples_nearly_the_same_faces(small_model, tmp_path):
    path = tmp_path / "model.npz"
    small_model.save(path)
    loaded = AppearanceModel.load(path)
    assert loaded.about["faces"] == small_model.about["faces"]
    first = small_model.sample(np.random.default_rng(5))
    second = loaded.sample(np.random.default_rng(5))
    np.testing.assert_allclose(first.landmarks, second.landmarks, atol=0.5)
    assert np.abs(first.image.astype(int) - second.image).mean() < 6
    loaded.save(tmp_path / "again.npz")
    third = AppearanceModel.load(tmp_path / "again.npz").sample(np.random.default_rng(5))
    assert np.abs(third.image.astype(int) - second.image).mean() < 2


def test_a_file_of_another_schema_is_refused(small_model, tmp_path, monkeypatch):
    monkeypatch.setitem(small_model.about, "schema", 99)
    small_model.save(tmp_path / "model.npz")
    with pytest.raises(ValueError, match="schema"):
        AppearanceModel.load(tmp_path / "model.npz")


def test_a_handful_of_faces_is_refused(make_faces):
    with pytest.raises(ValueError, match="at least 8"):
        fit(make_faces(3))


def test_faces_without_any_label_still_make_a_model(make_faces):
    bare = ((image, points, valid, None, None, None) for image, points, valid, *_ in make_faces(24))
    model = fit(bare, texture_size=32, shape_components=4, texture_components=6)
    face = model.sample(np.random.default_rng(0), 48)
    assert (face.gender, face.age, face.ethnicity) == (None, None, None)
    assert face.image.std() > 5
