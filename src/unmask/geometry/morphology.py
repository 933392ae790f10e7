"""Dilation and erosion of masks by a disc."""

import cv2
import numpy as np

_LARGE = 16  # pixels: from this radius on distances are faster than a disc


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A bool mask (H, W) dilated by a disc of radius `pixels`, or eroded if that is negative."""
    if abs(pixels) >= _LARGE:
        outside = (mask if pixels < 0 else ~mask).astype(np.uint8)
        near = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= abs(pixels)
        return ~near if pixels < 0 else near & mask.any()
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    morph = cv2.dilate if pixels > 0 else cv2.erode
    return morph(mask.astype(np.uint8), kernel).astype(bool)
