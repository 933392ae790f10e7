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
MIRROR = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        27,
        28,
        29,
        30,
        35,
        34,
        33,
        32,
        31,
        45,
        44,
        43,
        42,
        47,
        46,
        39,
        38,
        37,
        36,
        41,
        40,
        54,
        53,
        52,
        51,
        50,
        49,
        48,
        59,
        58,
        57,
        56,
        55,
        64,
        63,
        62,
        61,
        60,
        67,
        66,
        65,
    ]
)


def eye_centres(landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each eye's six points: ((2,), (2,)) of the picture's left and right eye, pixels."""
    return landmarks[RIGHT_EYE].mean(axis=0), landmarks[LEFT_EYE].mean(axis=0)


def mirrored(landmarks: np.ndarray, width: int) -> np.ndarray:
    """Landmarks (68, 2) of the picture flipped left to right, `width` pixels wide."""
    flipped = landmarks[MIRROR].copy()
    flipped[:, 0] = width - 1 - flipped[:, 0]
    return flipped
