"""What holds the mask: the lines that run from its corners to the ears or around the head."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.masking.pose import Pose

STRAPS = ("loops", "ties", "head", "bands", "none")
WIDTHS = {"loops": (0.03, 0.055), "ties": (0.03, 0.06), "head": (0.04, 0.065),
          "bands": (0.10, 0.18), "none": (0.0, 0.0)}  # in sizes  # fmt: skip
EAR_TOP, EAR_FOOT = 0.8, 2.0  # along the contour landmarks, from the temple down


def _contour(landmarks: np.ndarray, side: int, place: float) -> np.ndarray:
    """A point of the face contour: side -1 at image left, 1 at right; place 0 at the temple."""
    index = int(place)
    order = (index, index + 1) if side < 0 else (16 - index, 15 - index)
    return landmarks[order[0]] * (1 - place + index) + landmarks[order[1]] * (place - index)


def strap_lines(
    kind: str, corners: np.ndarray, landmarks: np.ndarray, pose: Pose, slack: float
) -> list[np.ndarray]:
    """The curves (n, 2) of the straps in pixels.

    corners: (2, 2, 2), image points of left then right side, upper then lower; slack: sag in
    sizes. The straps of the far side end where the head turns away.
    """
    if kind == "none":
        return []
    ends = []
    for side, (upper, lower) in zip((-1, 1), corners, strict=True):
        nearness = np.clip(-side * pose.turn * 1.6, -0.5, 1)
        out = side * pose.right * pose.size
        if kind in ("loops", "bands"):
            reach = out * (0.03 + 0.10 * nearness)
            ends += [(upper, _contour(landmarks, side, EAR_TOP) + reach),
                    (lower, _contour(landmarks, side, EAR_FOOT) + reach * 0.9)]  # fmt: skip
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


def strap_alpha(
    lines: list[np.ndarray], width: float, corner: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Coverage 0..1 (h, w) float32 of lines `width` pixels wide in the image window given."""
    fine = np.zeros((shape[0] * 4, shape[1] * 4), np.uint8)
    points = [np.round(((line - corner) * 4 + 1.5) * 16).astype(np.int32) for line in lines]
    cv2.polylines(fine, points, False, 255, max(1, round(width * 4)), cv2.LINE_8, 4)
    small = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255
