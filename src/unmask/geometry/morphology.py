"""Dilation and erosion of masks by a disc."""

import cv2
import numpy as np


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A bool mask (H, W) dilated by a disc of radius `pixels`, or eroded if that is negative."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    morph = cv2.dilate if pixels > 0 else cv2.erode
    return morph(mask.astype(np.uint8), kernel).astype(bool)
