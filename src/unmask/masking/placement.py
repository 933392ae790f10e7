"""Puts a mask drawn from chance on a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unmask.masking.chart import Chart
from unmask.masking.light import light_on
from unmask.masking.pose import pose_of
from unmask.masking.render import outline_on, painted
from unmask.masking.shapes import SHAPES
from unmask.masking.style import drawn_style
from unmask.masking.validity import misfit

DRAWS = 12


class MaskPlacementError(ValueError):
    """No mask drawn would fit the face."""


@dataclass(frozen=True)
class MaskedFace:
    """A face that wears a mask.

    image: uint8 (h, w, 3) RGB; mask: bool (h, w), true wherever the mask, its loops and straps
    included, covers a pixel at all, but not where only its shadow falls; mask_type, fabric, wear:
    names out of MASK_TYPES, FABRICS and WEARS; yaw: degrees, positive looking to image right.
    """

    image: np.ndarray
    mask: np.ndarray
    mask_type: str
    fabric: str
    wear: str
    yaw: float


def put_on(
    image: np.ndarray,
    landmarks: np.ndarray,
    rng: np.random.Generator,
    *,
    types: Mapping[str, float],
    fabrics: Mapping[str, float],
    wear: Mapping[str, float],
    valid: np.ndarray | None = None,
) -> MaskedFace:
    """Draws a mask by the weights given and renders it on the face, lit as the face is.

    image: uint8 (h, w, 3) RGB; landmarks: (68, 2) iBUG points x, y in its pixels; types, fabrics,
    wear: name -> weight; a fabric unusual on the type drawn comes up less than its weight says.
    valid: bool (h, w), false where the image is padding, which is neither read nor drawn on.
    The same rng state gives the same bytes; the image is left as it is.

    Raises ValueError on an unknown name, weights that allow nothing, or arrays of another shape;
    MaskPlacementError where the mouth is out of the image or none of DRAWS masks fits.
    """
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.shape != (68, 2):
        raise ValueError(f"landmarks have the shape {landmarks.shape}, not (68, 2)")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"the image is {image.dtype} {image.shape}, not uint8 (h, w, 3)")
    if valid is not None and valid.shape != image.shape[:2]:
        raise ValueError(f"valid has the shape {valid.shape}, the image {image.shape[:2]}")
    if not np.isfinite(landmarks).all():
        raise ValueError("a landmark is not a finite number")
    pose, mouth = pose_of(landmarks), landmarks[48:68]
    if (mouth < 0).any() or (mouth >= image.shape[1::-1]).any():
        raise MaskPlacementError("no mask fits this face: its mouth lies outside the image")
    for _ in range(DRAWS):
        style = drawn_style(rng, types, fabrics, wear)
        chart = Chart(landmarks, pose, SHAPES[style.mask_type].standoff)
        outline = outline_on(chart, style)
        flaw = misfit(outline, landmarks, pose, style.wear)
        if flaw is None:
            break
    else:
        raise MaskPlacementError(f"no mask fits this face; of the last of {DRAWS} drawn, {flaw}")
    light = light_on(image, landmarks, pose, valid)
    drawn, mask = painted(image, landmarks, chart, style, outline, light, valid, rng)
    return MaskedFace(drawn, mask, style.mask_type, style.fabric, style.wear, pose.yaw)
