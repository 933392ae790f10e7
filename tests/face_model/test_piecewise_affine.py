from __future__ import annotations

import cv2
import numpy as np

from unmask.face_model.piecewise_affine import border_points, triangle_map, triangulate, warp_maps

SIZE = 64


def _mesh(seed: int = 0):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(np.linspace(0.2, 0.8, 4), np.linspace(0.2, 0.8, 4)), -1)
    inner = grid.reshape(-1, 2) + 0.02 * rng.standard_normal((16, 2))
    return np.concatenate([inner, border_points()]).astype(np.float32) * SIZE - 0.5


def _smooth_image(seed: int = 1):
    noise = np.random.default_rng(seed).uniform(0, 255, (8, 8, 3)).astype(np.float32)
    return cv2.resize(noise, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _warped(image, source, target, triangles):
    owner = triangle_map(target, triangles, (SIZE, SIZE))
    maps = warp_maps(target, source, triangles, owner)
    return cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def test_a_warp_to_the_same_points_changes_nothing():
    points, image = _mesh(), _smooth_image()
    warped = _warped(image, points, points, triangulate(points))
    assert np.abs(warped.astype(int) - image).max() <= 1


def test_a_mesh_with_border_points_covers_every_pixel():
    points = _mesh()
    triangles = triangulate(points)
    owner = triangle_map(points, triangles, (SIZE, SIZE))
    corners = points[triangles[owner]]
    y, x = np.mgrid[:SIZE, :SIZE]
    inside = np.stack([x, y], -1)[..., None, :] - corners
    following = np.roll(corners, -1, axis=-2) - corners
    side = following[..., 0] * inside[..., 1] - following[..., 1] * inside[..., 0]
    length = np.hypot(following[..., 0], following[..., 1])
    turn = np.sign(side.sum(-1, keepdims=True))
    assert (side * turn / length).min() > -1.5


def test_a_dot_moves_with_its_point():
    source, target = _mesh(0), _mesh(5)
    image = np.zeros((SIZE, SIZE), np.uint8)
    x, y = np.rint(source[5]).astype(int)
    cv2.circle(image, (int(x), int(y)), 2, 255, -1)
    warped = _warped(image, source, target, triangulate(source)).astype(float)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    found = np.array([(warped * columns).sum(), (warped * rows).sum()]) / warped.sum()
    assert np.abs(found - target[5]).max() < 1.0


def test_a_shift_of_all_points_shifts_the_image():
    points, image = _mesh(), _smooth_image()
    warped = _warped(image, points, points + 3, triangulate(points))
    assert np.abs(warped[8:, 8:].astype(int) - image[5:-3, 5:-3]).max() <= 1
