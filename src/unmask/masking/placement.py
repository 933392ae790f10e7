"""Puts a mask drawn from chance on a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from unmask.geometry.landmarks import MOUTH
from unmask.masking.chart import Chart
from unmask.masking.light import light_on
from unmask.masking.occluders import OCCLUDERS, Scene, before
from unmask.masking.pose import pose_of
from unmask.masking.render import FAINTEST, outline_on, painted
from unmask.masking.shapes import SHAPES
from unmask.masking.style import checked_chances, drawn_style
from unmask.masking.validity import misfit

DRAWS = 16
NONE: Mapping[str, float] = MappingProxyType({})


class MaskPlacementError(ValueError):
    """No mask drawn would fit the face."""


@dataclass(frozen=True)
class MaskedFace:
    """A face that wears a mask.

    image: uint8 (h, w, 3) RGB; mask: bool (h, w), true wherever the mask, its loops and straps
    included, covers a pixel at all, but not where only its shadow falls, nor where something
    before it hides it; occluder: bool (h, w), the pixels of what is before mask and face, which
    the bare face's picture lacks: none of them is the mask's; mask_type, fabric, wear: names out
    of MASK_TYPES, FABRICS and WEARS; yaw: degrees, positive looking to image right.
    """

    image: np.ndarray
    mask: np.ndarray
    occluder: np.ndarray
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
    defects: Mapping[str, float] = NONE,
    occluders: Mapping[str, float] = NONE,
    variation: float = 1.0,
    printed: np.ndarray | None = None,
    valid: np.ndarray | None = None,
) -> MaskedFace:
    """Draws a mask by the weights given and renders it on the face, lit as the face is.

    image: uint8 (h, w, 3) RGB; landmarks: (68, 2) iBUG points x, y in its pixels; types, fabrics,
    wear: name -> weight; a fabric unusual on the type drawn comes up less than its weight says.
    defects, occluders: name -> chance, 0..1, of each fault of `unmask.masking.finish.DEFECTS` and
    of each of `unmask.masking.occluders.OCCLUDERS` before the mask; variation: 0..1, how much
    outlines differ from their type's; printed: RGB uint8 picture for every other mask of the
    fabric photo, which else shows a drawn one.
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
    pose, mouth = pose_of(landmarks), landmarks[MOUTH]
    if (mouth < 0).any() or (mouth >= image.shape[1::-1]).any():
        raise MaskPlacementError("no mask fits this face: its mouth lies outside the image")
    checked_chances("occluder", occluders, OCCLUDERS)
    for draw in range(DRAWS):  # ever closer to the types' own outlines, which fit most faces
        varied = variation * (1 - draw / DRAWS)
        style = drawn_style(rng, types, fabrics, wear, defects, varied)
        chart = Chart(landmarks, pose, SHAPES[style.mask_type].standoff)
        outline = outline_on(chart, style)
        flaw = misfit(outline, landmarks, pose, style.wear)
        if flaw is None:
            break
    else:
        raise MaskPlacementError(f"no mask fits this face; of the last of {DRAWS} drawn, {flaw}")
    light = light_on(image, landmarks, pose, valid)
    drawn, opacity = painted(image, landmarks, chart, style, outline, light, valid, printed, rng)
    mask, occluder = opacity > 0, np.zeros(image.shape[:2], bool)
    hidden = before(Scene(image, landmarks, pose, light), occluders, rng)
    if hidden is not None:
        cover, colour = hidden
        cover = cover * (cover >= FAINTEST) * (True if valid is None else valid)
        mask = opacity * (1 - cover) >= FAINTEST
        occluder = (cover > 0) & ~mask
        share = cover[:, :, None]
        drawn = np.rint(drawn * (1 - share) + colour.clip(0, 255) * share).astype(np.uint8)
    return MaskedFace(drawn, mask, occluder, style.mask_type, style.fabric, style.wear, pose.yaw)
