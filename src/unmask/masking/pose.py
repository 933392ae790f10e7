"""How a face sits in the image, read from its 68 iBUG landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmask.geometry.landmarks import eye_centres

NOSE_DEPTH = 1.15  # how far the nose tip stands before the head's axis, in half face widths


@dataclass(frozen=True)
class Pose:
    """A face's frame: unit vectors `right` and `down` (2,), `size` in pixels, `yaw` in degrees.

    `size` is the inter-ocular distance a frontal face of this height would have, so it does not
    shrink as the head turns. A positive yaw looks to image right.
    """

    right: np.ndarray
    down: np.ndarray
    size: float
    yaw: float

    @property
    def turn(self) -> float:
        """The sine of the yaw, in -1..1."""
        return float(np.sin(np.radians(self.yaw)))


def pose_of(landmarks: np.ndarray) -> Pose:
    """The pose of the face with these landmarks (68, 2); ValueError if its eyes coincide."""
    left_eye, right_eye = eye_centres(landmarks)
    across = right_eye - left_eye
    distance = float(np.hypot(*across))
    if distance < 1.0:
        raise ValueError("the landmarks put both eyes at one point")
    right = across / distance
    down = np.array([-right[1], right[0]])
    to_mouth = float((landmarks[48:60].mean(0) - (left_eye + right_eye) / 2) @ down)
    x = landmarks @ right
    middle, half_width = (x[1:4].mean() + x[13:16].mean()) / 2, (x[13:16] - x[3:0:-1]).mean() / 2
    lean = (x[29:31].mean() - middle) / max(half_width, 1.0) / NOSE_DEPTH
    yaw = float(np.degrees(np.arcsin(np.clip(lean, -0.95, 0.95))))
    return Pose(right, down, max(distance, 0.9 * to_mouth), yaw)
