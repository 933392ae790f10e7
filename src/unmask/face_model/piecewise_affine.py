"""Piecewise-affine warps of a triangulated face (Cootes, Edwards & Taylor 2001, section 4).

Points are pixel coordinates with the pixel-centre convention: x = 3.0 is the centre of column 3.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

Points = NDArray[np.float32]

_MARGIN = 0.4  # of the border points around the frame, in its widths
_SUBPIXEL_BITS = 4
_THINNEST = 0.6  # altitude in pixels of triangles that are filled


def border_points(per_side: int = 5) -> Points:
    """Fixed points well outside the unit frame, so that a mesh with them covers all of it.

    Returns:
        (4 * (per_side - 1), 2) coordinates in units of the frame's width, from -0.4 to 1.4.
    """
    ticks = np.linspace(-_MARGIN, 1 + _MARGIN, per_side)[:-1]
    low, high = np.full_like(ticks, -_MARGIN), np.full_like(ticks, 1 + _MARGIN)
    sides = [(ticks, low), (high, ticks), (1 - ticks, high), (low, 1 - ticks)]
    return np.concatenate([np.stack(side, 1) for side in sides]).astype(np.float32)


def triangulate(points: Points) -> NDArray[np.int32]:
    """Delaunay triangles (T, 3) of (P, 2) points, as indices into them."""
    return Delaunay(points).simplices.astype(np.int32)


def triangle_map(
    points: Points, triangles: NDArray[np.int32], shape: tuple[int, int]
) -> NDArray[np.int16]:
    """Index of the triangle that covers each pixel.

    Triangles thinner than 0.6 pixels are left to their neighbours. Pixels that no triangle covers
    get index 0, so the mesh should cover the image.

    Args:
        points: (P, 2) vertices in pixels.
        triangles: (T, 3) indices of vertices.
        shape: (height, width) of the image.

    Returns:
        (height, width) indices of triangles.
    """
    owner = np.zeros(shape, np.int16)
    corners = np.rint(points[triangles] * (1 << _SUBPIXEL_BITS)).astype(np.int32)
    for index in np.flatnonzero(_altitude(points[triangles]) >= _THINNEST):
        cv2.fillConvexPoly(owner, corners[index], int(index), cv2.LINE_8, _SUBPIXEL_BITS)
    return owner


def warp_maps(
    target: Points,
    source: Points,
    triangles: NDArray[np.int32],
    owner: NDArray[np.int16],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps that warp a source image to a target mesh by `cv2.remap`.

    Each triangle is mapped by the affine transform of its three corners.

    Args:
        target: (P, 2) vertices in pixels of the target image.
        source: (P, 2) vertices of the same mesh in pixels of the source image.
        triangles: (T, 3) indices of vertices.
        owner: (height, width), `triangle_map` of the target.

    Returns:
        x and y (height, width) of the source point that each target pixel shows.
    """
    affine = _affine_between(target[triangles], source[triangles])[owner]
    height, width = owner.shape
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    map_x = affine[..., 0] * x + affine[..., 1] * y + affine[..., 2]
    map_y = affine[..., 3] * x + affine[..., 4] * y + affine[..., 5]
    return map_x, map_y


def _altitude(corners: Points) -> NDArray[np.float32]:
    """Smallest altitude (T,) of triangles with corners (T, 3, 2)."""
    edges = np.roll(corners, -1, axis=1) - corners
    double_area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    return double_area / np.maximum(np.hypot(edges[..., 0], edges[..., 1]).max(1), 1e-6)


def _affine_between(target: Points, source: Points) -> NDArray[np.float32]:
    """Affine transforms (T, 6), row by row, from target to source triangles (T, 3, 2)."""
    origin = target[:, 0].astype(np.float64)
    (ax, ay), (bx, by) = (target[:, 1] - origin).T, (target[:, 2] - origin).T
    determinant = ax * by - ay * bx
    flat = np.abs(determinant) < 1e-3
    determinant = np.where(flat, 1.0, determinant)
    inverse = np.stack([by, -bx, -ay, ax], 1).reshape(-1, 2, 2) / determinant[:, None, None]
    inverse[flat] = 0.0
    edges = np.stack([source[:, 1] - source[:, 0], source[:, 2] - source[:, 0]], 2)
    linear = edges @ inverse
    offset = source[:, 0] - (linear @ origin[:, :, None])[:, :, 0]
    return np.concatenate([linear, offset[:, :, None]], 2).reshape(-1, 6).astype(np.float32)
