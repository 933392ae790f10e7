"""The pose of a face in the image, from its 68 landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unmask.geometry.landmarks import eye_centres

NOSE_DEPTH = 1.15  # distance of the nose tip from the head's axis, in half face widths


@dataclass(frozen=True)
class Pose:
    """Orientation and size of a face in the image.

    Attributes:
        right: unit vector (2,) in the image, from the eye at its left to the other.
        down: unit vector (2,), perpendicular to `right`, from the eyes to the mouth.
        size: inter-ocular distance in pixels that a frontal face of this height would have, so it
            does not shrink as the head turns.
        yaw: in degrees, positive where the face looks to image right.
    """

    right: np.ndarray
    down: np.ndarray
    size: float
    yaw: float

    @property
    def turn(self) -> float:
        """Sine of the yaw, -1 to 1."""
        return float(np.sin(np.radians(self.yaw)))


def pose_of(landmarks: np.ndarray) -> Pose:
    """The pose of a face with landmarks (68, 2) in pixels.

    Raises:
        ValueError: when its eyes coincide.
    """
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
