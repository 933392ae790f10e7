from __future__ import annotations

import numpy as np
import pytest

from unmask.masking import FABRICS
from unmask.masking.chart import Chart, uv_maps
from unmask.masking.fabrics import VARIANTS, pattern_at, tile_mipmaps
from unmask.masking.outlines import sample_outline
from unmask.masking.pose import pose_of
from unmask.masking.shapes import MASK_TYPES, SHAPES
from unmask.masking.validity import misfit

U, V = (a.ravel() for a in np.meshgrid(np.linspace(-1, 1, 9), np.linspace(0, 1.15, 9)))
UV = np.stack([U, V], axis=1)


@pytest.mark.parametrize("yaw", [-30, -15, 15, 30])
def test_yaw_has_the_sign_and_about_the_size(face, yaw):
    found = pose_of(face(128, yaw)[1]).yaw
    assert np.sign(found) == np.sign(yaw)
    assert abs(found - yaw) < 12


def test_frontal_face_has_no_yaw(face):
    assert abs(pose_of(face()[1]).yaw) < 2


def test_eyes_at_one_point(face):
    landmarks = face()[1]
    landmarks[36:48] = 50
    with pytest.raises(ValueError, match="both eyes at one point"):
        pose_of(landmarks)


@pytest.mark.parametrize("yaw", [-25, 0, 25])
def test_chart_runs_from_jaw_to_jaw_and_nose_to_chin(face, yaw):
    landmarks = face(128, yaw)[1]
    chart = Chart(landmarks, pose_of(landmarks), 0.0)
    corners = chart.to_image(np.array([[-1, 0], [1, 0], [0, 0], [0, 1.0]]))
    assert np.abs(corners - landmarks[[1, 15, 28, 8]]).max() < 5


@pytest.mark.parametrize("yaw", [-25, 0, 25])
def test_uv_maps_are_the_inverse_of_the_chart(face, yaw):
    landmarks = face(128, yaw)[1]
    points = Chart(landmarks, pose_of(landmarks), 0.15).to_image(UV)
    u, v = uv_maps(UV, points, (0, 0), (128, 128))
    x, y = np.round(points).astype(int).T
    inside = (x >= 0) & (x < 128) & (y >= 0) & (y < 128) & (np.abs(U) < 0.9)
    assert np.abs(u[y, x, None][inside] - U[inside, None]).max() < 0.12
    assert np.abs(v[y, x, None][inside] - V[inside, None]).max() < 0.12


@pytest.mark.parametrize("fabric", [name for name in FABRICS if name != "plain"])
def test_tiles_are_shares_and_repeat(fabric):
    for variant in range(VARIANTS):
        for level in tile_mipmaps(fabric, variant):
            assert np.allclose(level.sum(axis=2), 1, atol=1e-4)
            assert level.min() > -1e-5
        u, v = np.meshgrid(np.linspace(0, 1, 7), np.linspace(0, 1, 7))
        u, v = u.astype(np.float32), v.astype(np.float32)
        once, later = (pattern_at(fabric, variant, u + k, v - k, 1 / 50) for k in (0, 3))
        assert np.allclose(once[1:-1, 1:-1], later[1:-1, 1:-1], atol=0.02)


@pytest.mark.parametrize("mask_type", MASK_TYPES)
def test_validity(face, mask_type):
    landmarks = face()[1]
    pose = pose_of(landmarks)
    chart = Chart(landmarks, pose, SHAPES[mask_type].standoff)
    outline = sample_outline(mask_type, np.random.default_rng(0), variation=0.0)

    def flaw(shift=0.0, stretch=1.0, wear="proper"):
        return misfit(chart.to_image(outline * [1, stretch] + [0, shift]), landmarks, pose, wear)

    assert flaw() is None
    assert any(part in flaw(shift=0.35) for part in ("nose", "mouth"))
    assert "nose" in flaw(wear="nose_out")
    assert "eye" in flaw(shift=-0.4, stretch=1.3)
    assert "chin" in flaw(stretch=0.78 / outline[:, 1].max())
    assert "mouth" in flaw(shift=0.5, stretch=0.6)
    assert "area" in flaw(stretch=0.1)
