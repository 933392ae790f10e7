"""Checks that a mask's outline covers the parts of the face that its wear implies."""

from __future__ import annotations

import cv2
import numpy as np

from unmask.geometry.landmarks import EYES, MOUTH
from unmask.masking.pose import Pose

CHIN, NOSE_TIP = slice(7, 10), 30
LEAST_AREA, MOST_AREA = 0.7, 8.0  # in squared inter-ocular distances
#: How far the chin may lie outside the outline, in inter-ocular distances.
CHIN_SLACK = {"proper": 0.15, "nose_out": 0.18, "slipped": 0.25}
#: How far the mouth of a turned head may lie outside, in inter-ocular distances, per sine of its
#: yaw beyond 30 degrees.
PROFILE_SLACK = 0.2


def misfit(outline: np.ndarray, landmarks: np.ndarray, pose: Pose, wear: str) -> str | None:
    """What is wrong with an outline on a face.

    Args:
        outline: (n, 2) in pixels of the image.
        landmarks: (68, 2) in pixels.
        pose: of the face.
        wear: one of `unmask.masking.wear.WEARS`.

    Returns:
        The end of a sentence on the mask, such as 'it leaves the chin bare'; None where it fits.
    """
    contour = outline.astype(np.float32).reshape(-1, 1, 2)

    def depth(point: np.ndarray) -> float:
        """How far inside the outline a point (2,) lies, in inter-ocular distances."""
        x, y = point
        return cv2.pointPolygonTest(contour, (float(x), float(y)), True) / pose.size

    if not LEAST_AREA < cv2.contourArea(contour) / pose.size**2 < MOST_AREA:
        return "its area is not that of a mask"
    if any(depth(p) < -PROFILE_SLACK * max(abs(pose.turn) - 0.5, 0) for p in landmarks[MOUTH]):
        return "it leaves part of the mouth bare"
    if any(depth(p) < -CHIN_SLACK[wear] for p in landmarks[CHIN]):
        return "it leaves the chin bare"
    if any(depth(p) > -0.02 for p in landmarks[EYES]):
        return "it reaches into an eye"
    if wear == "proper" and depth(landmarks[NOSE_TIP]) < 0:
        return "it leaves the tip of the nose bare"
    if wear == "nose_out" and depth(landmarks[NOSE_TIP]) > 0:
        return "it covers the tip of the nose"
    return None
