"""Puts a random mask on a face."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from unmask.geometry.landmarks import MOUTH
from unmask.masking.chart import Chart
from unmask.masking.light import estimate_light
from unmask.masking.occluders import OCCLUDERS, Scene, render_occluders
from unmask.masking.pose import pose_of
from unmask.masking.render import FAINTEST, outline_in_image, render_mask
from unmask.masking.shapes import SHAPES
from unmask.masking.style import check_chances, sample_style
from unmask.masking.validity import misfit

ATTEMPTS = 16  # masks sampled at most for one face
NONE: Mapping[str, float] = MappingProxyType({})


class MaskPlacementError(ValueError):
    """No mask that was sampled fits the face."""


@dataclass(frozen=True)
class MaskedFace:
    """A face that wears a mask.

    Attributes:
        image: (h, w, 3) uint8 RGB.
        mask: (h, w) bool, true wherever the mask, including its straps, covers a pixel at all; not
            where only its shadow falls, nor where an object in front hides it.
        occluder: (h, w) bool, pixels of objects in front of mask and face, which the picture of the
            bare face lacks; disjoint from `mask`.
        mask_type: one of `MASK_TYPES`.
        fabric: one of `FABRICS`.
        wear: one of `WEARS`.
        yaw: of the head in degrees, positive where it looks to image right.
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
    """Sample a mask and render it on a face, lit as the face is.

    The same state of `rng` gives the same bytes.

    Args:
        image: (h, w, 3) uint8 RGB; it is not changed.
        landmarks: (68, 2) in iBUG-68 order, in pixels of the image.
        rng: for the mask, what is in front of it, and noise.
        types: names of `MASK_TYPES` to weights.
        fabrics: names of `FABRICS` to weights, which are reduced where a type rarely has a fabric.
        wear: names of `WEARS` to weights.
        defects: names of `DEFECTS` to probabilities.
        occluders: names of `OCCLUDERS` to probabilities.
        variation: how much outlines differ from their type's, 0 to 1.
        printed: RGB uint8 picture for every other mask of the fabric `photo`; None for synthetic
            pictures on all.
        valid: (h, w) bool, false for padding, which is neither read nor drawn on; None for none.

    Raises:
        ValueError: for an unknown name, weights that allow nothing, or arrays of another shape.
        MaskPlacementError: when the mouth is outside the image or no sampled mask fits.
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
    check_chances("occluder", occluders, OCCLUDERS)
    for attempt in range(ATTEMPTS):
        # each attempt is closer to the type's own outline, which fits most faces
        varied = variation * (1 - attempt / ATTEMPTS)
        style = sample_style(rng, types, fabrics, wear, defects, varied)
        chart = Chart(landmarks, pose, SHAPES[style.mask_type].standoff)
        outline = outline_in_image(chart, style)
        flaw = misfit(outline, landmarks, pose, style.wear)
        if flaw is None:
            break
    else:
        raise MaskPlacementError(f"no mask fits this face; of the last of {ATTEMPTS} drawn, {flaw}")
    light = estimate_light(image, landmarks, pose, valid)
    rendered, opacity = render_mask(
        image, landmarks, chart, style, outline, light, valid, printed, rng
    )
    mask, occluder = opacity > 0, np.zeros(image.shape[:2], bool)
    scene = Scene(image, landmarks, pose, light)
    rendered, cover = _occluded(rendered, scene, occluders, rng, valid)
    if cover.any():
        mask = opacity * (1 - cover) >= FAINTEST
        occluder = (cover > 0) & ~mask
    return MaskedFace(rendered, mask, occluder, style.mask_type, style.fabric, style.wear, pose.yaw)


def put_in_front(
    image: np.ndarray,
    landmarks: np.ndarray,
    rng: np.random.Generator,
    occluders: Mapping[str, float],
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Sample and render objects in front of a face without a mask.

    Args:
        image: (h, w, 3) uint8 RGB; it is not changed.
        landmarks: (68, 2) in pixels of the image.
        rng: for the sample and its noise.
        occluders: names of `OCCLUDERS` to probabilities.
        valid: (h, w) bool, false for padding; None for none.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    pose = pose_of(landmarks)
    scene = Scene(image, landmarks, pose, estimate_light(image, landmarks, pose, valid))
    return _occluded(image, scene, occluders, rng, valid)[0]


def _occluded(
    image: np.ndarray,
    scene: Scene,
    occluders: Mapping[str, float],
    rng: np.random.Generator,
    valid: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """An image (h, w, 3) uint8 with objects drawn on it, and their coverage (h, w), 0 to 1."""
    in_front = render_occluders(scene, occluders, rng)
    if in_front is None:
        return image, np.zeros(image.shape[:2], np.float32)
    cover, colour = in_front
    cover = cover * (cover >= FAINTEST) * (True if valid is None else valid)
    share = cover[:, :, None]
    drawn = np.rint(image * (1 - share) + colour.clip(0, 255) * share).astype(np.uint8)
    return drawn, cover
