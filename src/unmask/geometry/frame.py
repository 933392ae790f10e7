"""The canonical frame: a square crop with level eyes at a fixed position and distance."""

import cv2
import numpy as np

from unmask.geometry.landmarks import MOUTH, eye_centres

EYE_HEIGHT = 0.40  # of the frame's height, from the top
EYE_DISTANCE = 0.30  # of the frame's width, between the eye centres
#: Largest ratio of eye-to-mouth to inter-ocular distance of a frontal face; a larger one means yaw.
TALLEST = 1.3
UNSHOWN = 127  # grey level of pixels outside the source picture


def canonical_transform(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Similarity transform from picture to canonical frame.

    The eyes of a turned head lie close together in the picture, so its frame is sized by the
    distance from eyes to mouth, which yaw leaves unchanged.

    Args:
        landmarks: (68, 2) pixel coordinates, the centre of the first pixel being (0, 0).
        size: width and height of the frame in pixels.

    Returns:
        (2, 3) float64 matrix that maps picture coordinates to frame coordinates.

    Raises:
        ValueError: when both eyes lie at one point.
    """
    left, right = (centre.astype(np.float64) for centre in eye_centres(landmarks))
    along = right - left
    apart = float(np.hypot(*along))
    if apart < 1e-6:
        raise ValueError("the eye landmarks coincide, so the face cannot be aligned")
    middle, mouth = (left + right) / 2, landmarks[MOUTH].mean(axis=0)
    down = float(np.array([-along[1], along[0]]) / apart @ (mouth - middle))
    cosine, sine = along / apart * (EYE_DISTANCE * size / max(apart, down / TALLEST))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    target = np.array([size / 2 - 0.5, EYE_HEIGHT * size - 0.5])
    return np.column_stack([linear, target - linear @ middle])


def scale_of(transform: np.ndarray) -> float:
    """Source pixels per frame pixel of a similarity transform (2, 3)."""
    return 1.0 / float(np.hypot(transform[0, 0], transform[1, 0]))


def invert(transform: np.ndarray) -> np.ndarray:
    """The inverse (2, 3) of an affine transform (2, 3)."""
    return cv2.invertAffineTransform(transform)


def chained(first: np.ndarray, then: np.ndarray) -> np.ndarray:
    """The composition (2, 3) of two affine transforms (2, 3), `first` being applied first."""
    return then @ np.vstack([first, [0, 0, 1]])


def of_part(transform: np.ndarray, x: int, y: int) -> np.ndarray:
    """The transform (2, 3) for the part of a picture that begins at (x, y), from its own pixels."""
    return chained(np.array([[1.0, 0, x], [0, 1, y]]), transform)


def resizing(old: int, new: int) -> np.ndarray:
    """The affine transform (2, 3) that resizes a square picture from side `old` to side `new`."""
    ratio = new / old
    shift = 0.5 * ratio - 0.5
    return np.array([[ratio, 0, shift], [0, ratio, shift]])


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture or map (S, S[, C]) with the given side in pixels."""
    if len(picture) == side:
        return picture
    smooth = cv2.INTER_AREA if side < len(picture) else cv2.INTER_LINEAR
    return cv2.resize(picture, (side, side), interpolation=smooth)


def move_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Map points (N, 2) by an affine transform (2, 3); float32."""
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def warp(
    image: np.ndarray,
    transform: np.ndarray,
    size: tuple[int, int],
    beyond: float | tuple[int, int, int] | None = UNSHOWN,
    interpolation: int = cv2.INTER_LINEAR,
) -> np.ndarray:
    """Resample a picture by an affine transform; where it shrinks, pixels are averaged.

    Args:
        image: (H, W[, C]) uint8 or float32.
        transform: similarity (2, 3) from picture to result coordinates, in pixels.
        size: (width, height) of the result.
        beyond: border value, grey or RGB, of pixels outside the picture; None repeats its edge.
        interpolation: a flag of OpenCV; cubic keeps more of the finest detail than linear.

    Returns:
        (height, width[, C]) of the picture's type.
    """
    scale = scale_of(transform)
    if scale > 1.0:
        height, width = image.shape[:2]
        small = (max(1, round(width / scale)), max(1, round(height / scale)))
        ratio = np.array([small[0] / width, small[1] / height])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        # pixel centres: x_small + 0.5 = ratio * (x + 0.5)
        linear = transform[:, :2] / ratio
        shift = transform[:, 2] + linear @ (0.5 - 0.5 * ratio)
        transform = np.column_stack([linear, shift])
    border = cv2.BORDER_REPLICATE if beyond is None else cv2.BORDER_CONSTANT
    value = beyond if isinstance(beyond, tuple) else (beyond or 0,) * 3
    return cv2.warpAffine(
        image, transform, size, flags=interpolation, borderMode=border, borderValue=value
    )


def shown(valid: np.ndarray, transform: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which pixels of a warped picture come from valid pixels of the source.

    Args:
        valid: (H, W) bool, the valid pixels of the source.
        transform: (2, 3) from picture to result coordinates, in pixels.
        size: (width, height) of the result.

    Returns:
        (height, width) bool.
    """
    return warp(valid.astype(np.float32), transform, size, beyond=0) > 0.999
