"""Ear loops and ties that the network missed: thin lines that run from the mask over the cheek.

Thin lines stand out against the opening and closing of a picture: Meyer, "Contrast feature
extraction", 1978 (the top-hat transform).
"""

import cv2
import numpy as np

from unmask.data.morphology import grown
from unmask.faces.landmarks import JAW, OUTER_EYE_CORNERS

# of the frame's side: the widest loop, with its soft edges; how near the mask one ends; the
# shortest one and the farthest away; how far beside the eyes they begin, and above them they end
_WIDEST, _ENDS, _SHORTEST, _FARTHEST, _BESIDE, _ABOVE = 0.04, 0.025, 0.07, 0.35, 0.02, 0.04
_AWAY = 0.7  # of its length, that a loop leads away from the mask; what runs along it is its edge
_STANDS_OUT = (10.0, 24.0)  # grey levels: of all of it, and of its clearest point


def _thin_lines(crop: np.ndarray) -> np.ndarray:
    """How far the thin lines of a crop (S, S, 3) uint8 stand out, (S, S) grey levels."""
    width = 2 * round(_WIDEST * len(crop) / 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    smooth = cv2.GaussianBlur(crop, (0, 0), 0.6)
    hats = [cv2.morphologyEx(smooth, kind, disc) for kind in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)]
    return np.max([hat.astype(np.float32).mean(axis=2) for hat in hats], axis=0)


def with_loops(
    crop: np.ndarray, probability: np.ndarray, landmarks: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """The probability of mask, 1 on thin lines that start at the mask beside the eyes.

    Args:
        crop: (S, S, 3) uint8 RGB; beyond the picture its border repeated, which makes no line.
        probability: (S, S) float32 in [0, 1], of mask.
        landmarks: (68, 2) pixels of the crop.
        seen: (S, S) bool, what the picture shows.

    Returns:
        (S, S) float32.
    """
    side, mask = len(crop), probability > 0.5
    if not mask.any():
        return probability
    y, x = np.mgrid[:side, :side]
    corners = landmarks[list(OUTER_EYE_CORNERS)]
    beside = (x < corners[:, 0].min() - _BESIDE * side) | (x > corners[:, 0].max() + _BESIDE * side)
    level = (y > corners[:, 1].min() - _ABOVE * side) & (y < landmarks[JAW, 1].max())
    where = beside & level & seen & ~mask
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # the mask is painted over from around, so that no edge of it looks like a line
    lines = _thin_lines(cv2.inpaint(crop, mask.astype(np.uint8), 2, cv2.INPAINT_NS))
    lines[~where | (distance > _FARTHEST * side)] = 0
    weak = (lines > _STANDS_OUT[0]).astype(np.uint8)
    count, pieces, boxes, _ = cv2.connectedComponentsWithStats(weak, connectivity=8)
    found = np.zeros_like(mask)
    for piece in range(1, count):
        this = pieces == piece
        length = float(np.hypot(*boxes[piece, 2:4]))
        if (
            lines[this].max() > _STANDS_OUT[1]
            and distance[this].min() <= _ENDS * side + 1
            and distance[this].max() - distance[this].min() > max(_SHORTEST * side, _AWAY * length)
            and boxes[piece, 4] <= _WIDEST * side * length
        ):
            found |= this
    return np.where(grown(found, 1) & ~mask, np.float32(1), probability)
