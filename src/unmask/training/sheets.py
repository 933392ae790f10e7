"""Contact sheets: pictures in rows."""

import cv2
import numpy as np
from torch import Tensor


def pixels(images: Tensor) -> np.ndarray:
    """(N, 3, S, S) RGB in [0, 1] as uint8 (N, S, S, 3); values outside are clipped."""
    scaled = images.detach().float().clamp(0, 1).mul(255).round()
    return scaled.permute(0, 2, 3, 1).byte().cpu().numpy()


def grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Stack rows of equally large RGB pictures, with a white line of two pixels between."""
    padded = [
        np.concatenate([np.pad(p, ((0, 2), (0, 2), (0, 0)), constant_values=255) for p in row], 1)
        for row in rows
    ]
    return np.concatenate(padded, axis=0)


_COLOURS = {"true": (0, 200, 0), "predicted": (255, 60, 60)}


def with_points(image: np.ndarray, landmarks: dict[str, np.ndarray]) -> np.ndarray:
    """A copy of an RGB picture, twice as large, with landmarks (68, 2) drawn in.

    Args:
        landmarks: 'true' ones are drawn green, 'predicted' ones red.
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, points in landmarks.items():
        for x, y in (points + 0.5) * 2 - 0.5:
            centre = (round(float(x)), round(float(y)))
            cv2.circle(drawn, centre, 1, _COLOURS[kind], -1, cv2.LINE_AA)
    return drawn


def with_outlines(image: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """A copy of an RGB picture, twice as large, with the outlines of bool masks (H, W) drawn in.

    Args:
        masks: the 'true' one is drawn green, the 'predicted' one red.
    """
    drawn = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    for kind, mask in masks.items():
        large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        outlines, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, _COLOURS[kind], 1)
    return drawn


def captioned(image: np.ndarray, text: str) -> np.ndarray:
    """A copy of an RGB picture with a short white text on a dark line at its foot."""
    drawn = image.copy()
    drawn[-14:] = drawn[-14:] // 3
    cv2.putText(
        drawn,
        text,
        (3, drawn.shape[0] - 4),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.36,
        (255, 255, 255),
        1,
        cv2.LINE_AA,
    )
    return drawn
