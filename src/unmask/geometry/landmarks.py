"""The 68 facial landmarks in iBUG-68 order (Sagonas et al. 2013, the 300-W annotation)."""

import numpy as np

COUNT = 68
JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
NOSE_BRIDGE = slice(27, 31)
RIGHT_EYE = slice(36, 42)  # the subject's right, at the picture's left
LEFT_EYE = slice(42, 48)
EYES = slice(36, 48)
MOUTH = slice(48, 68)
OUTER_EYE_CORNERS = (36, 45)

#: Index of each landmark's partner when the picture is mirrored left to right.
MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), *range(27, 31), *range(35, 30, -1),
    *range(45, 41, -1), 47, 46, *range(39, 35, -1), 41, 40,
    *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), *range(67, 64, -1),
])  # fmt: skip


def eye_centres(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each eye's six points: ((2,), (2,)) of the picture's left and right eye, pixels."""
    return landmarks[RIGHT_EYE].mean(axis=0), landmarks[LEFT_EYE].mean(axis=0)


def mirrored(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Landmarks (68, 2) of the picture flipped left to right, `width` pixels wide."""
    flipped = landmarks[MIRROR].copy()
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped
