"""The 68 facial landmarks in iBUG-68 order (Sagonas et al. 2013, the 300-W annotation)."""

import numpy as np

COUNT = 68
JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
RIGHT_EYE = slice(36, 42)  # the subject's right eye, at the left of the picture
LEFT_EYE = slice(42, 48)
EYES = slice(36, 48)
MOUTH = slice(48, 68)
NOSE_TIP = 30
OUTER_EYE_CORNERS = (36, 45)

#: Index of each landmark's counterpart when the picture is flipped left to right.
MIRROR = np.array([
    *range(16, -1, -1),                              # jaw
    *range(26, 16, -1),                              # brows
    27, 28, 29, 30, 35, 34, 33, 32, 31,              # nose
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,  # eyes
    *range(54, 47, -1), *range(59, 54, -1),          # outer lips
    *range(64, 59, -1), 67, 66, 65,                  # inner lips
])  # fmt: skip


def eye_centres(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centres (2,) in pixels of the eyes at the picture's left and right, by landmarks (68, 2)."""
    return landmarks[RIGHT_EYE].mean(axis=0), landmarks[LEFT_EYE].mean(axis=0)


def mirrored(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Landmarks (68, 2) of a picture `width` pixels wide after it is flipped left to right."""
    flipped = landmarks[MIRROR].copy()
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped
