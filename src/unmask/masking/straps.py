"""Straps: the lines from a mask's corners to the ears or around the head."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.masking.pose import Pose

#: Smallest and largest width of each kind, in inter-ocular distances.
WIDTHS = {"loops": (0.012, 0.08), "hooks": (0.012, 0.07), "ties": (0.02, 0.08),
          "cords": (0.012, 0.05), "head": (0.02, 0.12), "bands": (0.10, 0.22),
          "visor": (0.04, 0.22), "none": (0.01, 0.01)}  # fmt: skip
HIDDEN = 0.45  # sine of the yaw beyond which the far side of the head is hidden
EAR_TOP, EAR_BOTTOM = 0.8, 2.0  # positions along the jaw landmarks, from the temple down


def _contour(landmarks: np.ndarray, side: int, position: float) -> np.ndarray:
    """A point (2,) of the face contour at a fractional index, 0 at the temple.

    `side` is -1 at image left, 1 at image right.
    """
    index = int(position)
    order = (index, index + 1) if side < 0 else (16 - index, 15 - index)
    before, after = landmarks[order[0]], landmarks[order[1]]
    return before * (1 - position + index) + after * (position - index)


def strap_lines(
    kind: str, corners: np.ndarray, landmarks: np.ndarray, pose: Pose, slack: float
) -> list[np.ndarray]:
    """The curves of a mask's straps; those of the far side are left out if they are hidden.

    Args:
        kind: one of `WIDTHS`.
        corners: (2, 2, 2) in pixels, where straps are sewn on: left and right, upper and lower.
        landmarks: (68, 2) in pixels.
        pose: of the face.
        slack: sag of the straps in inter-ocular distances.

    Returns:
        Curves (n, 2) in pixels.
    """
    if kind == "none":
        return []
    if kind == "visor":
        return _visor(corners, landmarks, pose)
    if kind == "hooks":
        return [_hook(side, corners[max(side, 0)], landmarks, pose) for side in _sides(pose)]
    ends: list[tuple[np.ndarray, np.ndarray]] = []
    for side in _sides(pose):
        upper, lower = corners[max(side, 0)]
        nearness = np.clip(-side * pose.turn * 1.6, -0.5, 1)
        out = side * pose.right * pose.size
        if kind in ("loops", "bands"):
            reach = out * (0.03 + 0.10 * nearness)
            ends += [(upper, _contour(landmarks, side, EAR_TOP) + reach),
                    (lower, _contour(landmarks, side, EAR_BOTTOM) + reach * 0.9)]  # fmt: skip
        elif kind == "cords":
            unit = pose.down * pose.size
            ends += [(upper, _contour(landmarks, side, EAR_TOP) + out * 0.05),
                    (lower, lower + out * 0.08 + unit * (0.5 + 4 * max(slack, 0)))]  # fmt: skip
        elif kind == "head":
            reach = out * (0.06 + 0.25 * max(nearness, 0))
            rise = -0.1 * pose.down * pose.size
            ends += [(upper, _contour(landmarks, side, 0) + reach + rise),
                    (lower, _contour(landmarks, side, 2.6) + reach)]  # fmt: skip
        else:
            reach = out * (0.05 + 0.2 * max(nearness, 0))
            ends += [(upper, _contour(landmarks, side, 0) + reach),
                    (lower, _contour(landmarks, side, 3.4) + reach)]  # fmt: skip
    start, end = np.array(ends)[:, :, None].swapaxes(0, 1)
    t = np.linspace(0, 1, 9)[:, None]
    return list(start * (1 - t) + end * t + slack * pose.size * pose.down * 4 * t * (1 - t))


def _sides(pose: Pose) -> list[int]:
    """The visible sides of the head: -1 for image left, 1 for right."""
    return [side for side in (-1, 1) if side * pose.turn < HIDDEN]


def _hook(side: int, ends: np.ndarray, landmarks: np.ndarray, pose: Pose) -> np.ndarray:
    """A curve (n, 2) from corner to corner around the ear, the part behind it being visible."""
    nearness = np.clip(-side * pose.turn * 1.6, -0.6, 1)
    out = side * pose.right * pose.size
    top = _contour(landmarks, side, EAR_TOP) + out * (0.10 + 0.14 * nearness)
    bottom = _contour(landmarks, side, EAR_BOTTOM) + out * (0.06 + 0.12 * nearness)
    rear = (top + bottom) / 2 + out * (0.08 + 0.10 * max(nearness, 0))
    points = np.array([ends[0], top - 0.06 * pose.down * pose.size, top, rear, bottom, ends[1]])
    for _ in range(2):
        cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:],
                          0.25 * points[:-1] + 0.75 * points[1:]], axis=1)  # fmt: skip
        points = np.vstack([points[:1], cut.reshape(-1, 2), points[-1:]])
    return points


def _visor(corners: np.ndarray, landmarks: np.ndarray, pose: Pose) -> list[np.ndarray]:
    """Three curves: the band across the forehead that holds a shield, and its two side rims."""
    up = -pose.down * pose.size
    brows = landmarks[[17, 19, 21, 22, 24, 26]]
    left, right = corners[0, 0], corners[1, 0]
    level = ((brows - left) @ pose.down).min() * pose.down
    ends = [left + level + 0.3 * up, right + level + 0.3 * up]
    middle = (ends[0] + ends[1]) / 2 + 0.12 * up + 0.3 * pose.turn * pose.right * pose.size
    t = np.linspace(0, 1, 9)[:, None]
    band = ends[0] * (1 - t) ** 2 + (2 * middle - (ends[0] + ends[1]) / 2) * 2 * t * (1 - t)
    return [band + ends[1] * t**2, np.array([left, ends[0]]), np.array([right, ends[1]])]


def strap_alpha(
    lines: list[np.ndarray], width: float, corner: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Coverage (h, w) float32, 0 to 1, of lines in a window of the image.

    Args:
        lines: curves (n, 2) in pixels of the image.
        width: of the lines in pixels.
        corner: x and y of the window's first pixel.
        shape: (h, w) of the window.
    """
    fine = np.zeros((shape[0] * 4, shape[1] * 4), np.uint8)
    points = [np.round(((line - corner) * 4 + 1.5) * 16).astype(np.int32) for line in lines]
    cv2.polylines(fine, points, False, 255, max(1, round(width * 4)), cv2.LINE_8, 4)
    small = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255
