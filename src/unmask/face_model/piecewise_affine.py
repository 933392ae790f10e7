"""Piecewise-affine warps of a triangulated face (Cootes, Edwards & Taylor 2001, section 4).

Points are pixel coordinates with the pixel-centre convention: x = 3.0 is the centre of column 3.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

Points = NDArray[np.float32]

_MARGIN = 0.4
_SUBPIXEL_BITS = 4
_THINNEST = 0.6


def border_points(per_side: int = 5) -> Points:
    """Fixed points around the unit frame, well outside it, so that a mesh covers it whole.

    Returns (4 * (per_side - 1), 2) coordinates in units of the frame width, from -0.4 to 1.4.
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
    """Index of the triangle that covers each pixel of an image of `shape` (height, width).

    Triangles thinner than 0.6 pixel leave their pixels to their neighbours. Pixels that none
    covers get triangle 0; give a mesh that covers all.
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
    """For each target pixel, the source coordinates it shows, as `cv2.remap` takes them.

    target and source are (P, 2) pixel coordinates of the same mesh; `owner` is the target's
    `triangle_map`. Each triangle is mapped by the affine transform of its three corners.
    """
    affine = _affine_between(target[triangles], source[triangles])[owner]
    height, width = owner.shape
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    map_x = affine[..., 0] * x + affine[..., 1] * y + affine[..., 2]
    map_y = affine[..., 3] * x + affine[..., 4] * y + affine[..., 5]
    return map_x, map_y


def _altitude(corners: Points) -> NDArray[np.float32]:
    """Least altitude of each of the triangles (T, 3, 2)."""
    edges = np.roll(corners, -1, axis=1) - corners
    double_area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0])
    return double_area / np.maximum(np.hypot(edges[..., 0], edges[..., 1]).max(1), 1e-6)


def _affine_between(target: Points, source: Points) -> NDArray[np.float32]:
    """(T, 6) affine transforms that take target triangles (T, 3, 2) to source triangles."""
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
