"""Surface coordinates (u, v) of the lower face, and their mapping to the image and back.

u runs across the face: -1 on the jaw contour at image left, 0 on the line of the nose, 1 on the
contour at image right. v runs down: 0 under the eyes, 1 at the tip of the chin, more on the neck.
On a turned head the line of the nose is nearer to the far contour, and so is everything between.
"""

from __future__ import annotations

import cv2
import numpy as np

from unmask.geometry.landmarks import MOUTH
from unmask.masking.pose import Pose

CENTRE_POINTS = [27, 28, 29, 30, 33, 51, 57, 8]  # landmarks on the line of the nose
#: v of the points on that line and on a contour; the last of each is on the neck.
CENTRE_V = np.array([-0.12, 0.0, 0.13, 0.26, 0.36, 0.5, 0.7, 1.0, 1.6])
SIDE_V = np.array([-0.23, 0.0, 0.23, 0.47, 0.70, 0.93, 1.6])
ROUNDNESS = 1.05  # half the angle, in radians, of the cylinder whose arc a row of the face is
SLIMMEST = 0.16  # smallest ratio of the widths of a face's far and near half
DEGREE = 4  # of the polynomials
#: Rows of the contour, the landmarks outside which they must lie, and by how many inter-ocular
#: distances.
FEATURES = ((slice(2, 3), slice(29, 36), 0.03), (slice(3, 5), MOUTH, 0.14),
            (slice(5, 6), slice(7, 10), 0.02))  # fmt: skip


def _powers(values: np.ndarray) -> np.ndarray:
    """Powers (n, DEGREE + 1) of values (n,)."""
    return np.vander(values, DEGREE + 1, increasing=True)


def _fitter(v: np.ndarray) -> np.ndarray:
    """The matrix that maps points at v (n,) to the polynomial that fits them best.

    Points on the neck count half.
    """
    weights = np.where(v > 1.2, 0.5, 1.0)[:, None]
    return np.linalg.pinv(_powers(v) * weights) * weights.T


FIT_CENTRE, FIT_SIDE = _fitter(CENTRE_V), _fitter(SIDE_V)


class Chart:
    """The mapping of one face, raised to the surface of a mask that stands off it."""

    def __init__(self, landmarks: np.ndarray, pose: Pose, standoff: float) -> None:
        """Fit the curves of both contours and of the line of the nose.

        Args:
            landmarks: (68, 2) in pixels.
            pose: of the face.
            standoff: distance of the mask's centre from the face, in inter-ocular distances.
        """
        self.pose = pose
        neck = pose.down * pose.size
        bulge = standoff * np.exp(-(((CENTRE_V - 0.55) / 0.4) ** 2))
        centre = np.vstack([landmarks[CENTRE_POINTS], landmarks[8] + 0.65 * neck])
        centre = centre + (pose.turn * pose.size * bulge)[:, None] * pose.right
        left = np.vstack([landmarks[0:6], landmarks[5] + 0.8 * neck])
        right = np.vstack([landmarks[16:10:-1], landmarks[11] + 0.8 * neck])
        for side, contour in ((-1, left), (1, right)):
            _move_outside_features(contour, landmarks, pose, side)
        # The curves are in the face's own axes, so that widths are differences of coordinates.
        self._axes = np.array([pose.right, pose.down])
        curves = (FIT_SIDE @ left, FIT_CENTRE @ centre, FIT_SIDE @ right)
        self._curves = np.hstack(curves) @ np.kron(np.eye(3), self._axes.T)

    def to_image(self, uv: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) of the image where surface points (u, v), (n, 2), appear."""
        left, centre, right = np.split(_powers(uv[:, 1]) @ self._curves, 3, axis=1)
        to_left, to_right = centre[:, 0] - left[:, 0], right[:, 0] - centre[:, 0]
        left[:, 0] -= np.maximum(SLIMMEST * to_right - to_left, 0)
        right[:, 0] += np.maximum(SLIMMEST * to_left - to_right, 0)
        u = uv[:, :1]
        edge = np.clip(u, -1, 1)
        s = np.sin(edge * ROUNDNESS) / np.sin(ROUNDNESS)
        # A row is the projective curve through its three points, which stays monotonic even where
        # one half is narrow.
        half_left, half_right = (
            np.maximum(half[:, :1], 1.0) for half in (centre - left, right - centre)
        )
        k = (half_left - half_right) / (half_left + half_right)
        row = (1 - k) * s * (s - 1) / 2 * left + (1 - s**2) * centre
        row = (row + (1 + k) * s * (s + 1) / 2 * right) / (1 + k * s)
        hidden = np.clip(2.5 * self.pose.turn * edge, 0, 1)  # of what stands out on the far side
        return (row + (u - edge) * (1 - hidden) / 2 * (right - left)) @ self._axes


def _move_outside_features(
    contour: np.ndarray, landmarks: np.ndarray, pose: Pose, side: int
) -> None:
    """Move a contour (7, 2) outwards, in place, where nose or mouth hide it on a turned head."""
    for rows, features, clearance in FEATURES:
        reach = (side * landmarks[features] @ pose.right).max() + clearance * pose.size
        short = np.maximum(reach - side * contour[rows] @ pose.right, 0)
        contour[rows] += side * short[:, None] * pose.right


def uv_maps(
    uv: np.ndarray, points: np.ndarray, corner: tuple[int, int], shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The inverse mapping over a window of the image: the polynomial that fits sample points.

    Args:
        uv: (n, 2) surface points.
        points: (n, 2) where they appear in the image, in pixels.
        corner: x and y of the window's first pixel.
        shape: (h, w) of the window.

    Returns:
        u and v (h, w) float32 of every pixel.
    """
    low, span = points.min(0), np.ptp(points, axis=0)
    scaled = (points - low) / span * 2 - 1
    across, along = _powers(scaled[:, 0]), _powers(scaled[:, 1])
    basis = (along[:, :, None] * across[:, None, :]).reshape(len(points), -1)
    normal = basis.T @ basis + 1e-5 * len(points) * np.eye(basis.shape[1])
    _, weights = cv2.solve(normal, basis.T @ uv, flags=cv2.DECOMP_CHOLESKY)
    height, width = shape
    xs = (np.arange(width) + corner[0] - low[0]) / span[0] * 2 - 1
    ys = (np.arange(height) + corner[1] - low[1]) / span[1] * 2 - 1
    across, along = _powers(np.clip(xs, -1.2, 1.2)).T, _powers(np.clip(ys, -1.2, 1.2))
    terms = weights.T.reshape(2, DEGREE + 1, DEGREE + 1)
    u, v = (along @ terms).astype(np.float32) @ across.astype(np.float32)
    return u, v
