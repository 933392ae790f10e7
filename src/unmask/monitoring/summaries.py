"""Summaries of restored faces for monitoring: a row of figures per face, no pixels."""

import cv2
import numpy as np

from unmask.geometry.frame import canonical_transform, shown, warp
from unmask.inference.chain import Chain
from unmask.inference.results import FaceAnswer, Restoration
from unmask.masking.pose import pose_of

RESTORED, SKIPPED = "restored", "skipped"
_SHARPNESS_SIDE = 128  # pixels
_ABOVE_MASKS = 0.45  # top share of the frame's height, which masks leave free
_FIGURES = (
    "brightness", "sharpness", "size", "yaw", "mask_fraction", "colour_l", "colour_a", "colour_b",
    "gender_male", "score",
)  # fmt: skip
Row = dict[str, float | str | list[float]]


def _framed(picture: np.ndarray, landmarks: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The face in its canonical frame of `side` pixels, and the frame's pixels above masks.

    Returns:
        (crop (S, S, 3) uint8, pixels above masks that the picture shows (S, S) bool).
    """
    transform = canonical_transform(landmarks, side)
    above = shown(np.ones(picture.shape[:2], bool), transform, (side, side))
    above[round(_ABOVE_MASKS * side) :] = False
    return warp(picture, transform, (side, side)), above


def _sharpness(picture: np.ndarray, landmarks: np.ndarray) -> float:
    """log10 of the Laplacian's variance divided by that of the grey levels; NaN if undefined.

    The ratio does not depend on the light. It is measured in a frame of a fixed, small size: in a
    larger one, an enlarged face has so little detail that rounding dominates in dark pictures.
    """
    crop, above = _framed(picture, landmarks, _SHARPNESS_SIDE)
    inner = cv2.erode(above.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not inner.any():
        return np.nan
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges, contrast = cv2.Laplacian(grey, cv2.CV_32F)[inner].var(), grey[inner].var()
    return float(np.log10(edges / contrast)) if edges > 0 and contrast > 0 else np.nan


def _measured(
    picture: np.ndarray,
    restored: Restoration,
    face: FaceAnswer,
    landmarks: np.ndarray,
    chain: Chain,
) -> dict[str, float | list[float]]:
    """The figures of a face with landmarks (68, 2); those of the mask only where it has one.

    Raises:
        ValueError: when both eyes lie within one pixel.
    """
    frame = (chain.size, chain.size)
    transform, pose = canonical_transform(landmarks, chain.size), pose_of(landmarks)
    crop, above = _framed(picture, landmarks, chain.size)
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    figures: dict[str, float | list[float]] = {
        "brightness": float(lab[above][:, 0].mean()) if above.any() else np.nan,
        "sharpness": _sharpness(picture, landmarks),
        "size": pose.size,
        "yaw": pose.yaw,
        "gender_male": face.gender_male,
        "score": face.score,
        "embedding": chain.embedding(crop).tolist(),
    }
    mask = shown(restored.mask, transform, frame)
    if face.status == RESTORED and mask.any():
        colour = lab[mask].mean(axis=0).tolist()
        figures |= dict(zip(("colour_l", "colour_a", "colour_b"), colour, strict=True))
        figures["mask_fraction"] = face.mask_fraction
    return figures


def summarise(picture: np.ndarray, restored: Restoration, chain: Chain) -> list[Row]:
    """One row per face of a restored picture; NaN where there is nothing to measure.

    Args:
        picture: (H, W, 3) uint8 RGB, before its restoration.
        restored: the chain's restoration of it.
        chain: the chain that restored it.

    Returns:
        Of each face: `model`, its `Chain.md5`; `status`, as in the restoration; `brightness`, mean
        CIELAB L* (0..100) of the canonical frame's part above masks; `sharpness`, log10 of the
        Laplacian's variance divided by that of the grey levels, in the same part; `size`, the
        inter-ocular distance in pixels as if the face were frontal; `yaw` in degrees, positive
        looking to the image's right; `mask_fraction`, `gender_male` and `score`, in 0..1, as in
        the restoration; `colour_l`, `colour_a`, `colour_b`, mean CIELAB of the mask; `embedding`,
        the gender network's pooled features of the frame, empty where the face was skipped.
    """
    rows = []
    for face in restored.faces:
        row: Row = {name: np.nan for name in _FIGURES}
        row |= {"model": chain.md5, "status": face.status, "embedding": []}
        if face.status != SKIPPED and face.landmarks is not None:
            try:
                row |= _measured(picture, restored, face, face.landmarks, chain)
            except ValueError:  # its eyes lie within one pixel
                row["status"] = SKIPPED
        rows.append(row)
    return rows
