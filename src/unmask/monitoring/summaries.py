"""What is kept of each face that was restored: a row of figures, no pixels."""

from hashlib import md5

import cv2
import numpy as np
import torch

from unmask.config.params import NETWORKS
from unmask.geometry.frame import canonical_transform, shown, warp
from unmask.inference.chain import Chain
from unmask.inference.results import FaceAnswer, Restoration
from unmask.masking.pose import pose_of

RESTORED, SKIPPED = "restored", "skipped"
_SHARPNESS_SIDE = 128  # pixels
_ABOVE_MASKS = 0.45  # of the frame's height, from the top
Row = dict[str, float | str | list[float]]


def model_of(chain: Chain) -> str:
    """What tells one chain's rows from another's: md5 over its networks' checksums."""
    sums = "".join(chain.networks[name].weights_md5 for name in NETWORKS)
    return md5(sums.encode()).hexdigest()


def _framed(picture: np.ndarray, landmarks: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The face in its canonical frame, and where in it the picture shows what masks leave free."""
    transform = canonical_transform(landmarks, side)
    above = shown(np.ones(picture.shape[:2], bool), transform, (side, side))
    above[round(_ABOVE_MASKS * side) :] = False
    return warp(picture, transform, (side, side)), above


def _sharpness(picture: np.ndarray, landmarks: np.ndarray) -> float:
    """log10 of the Laplacian's variance over the grey levels', which light does not change.

    In a frame of one size whatever the chain's: an enlarged face has so little detail that the
    rounding of a dark picture outweighs it.
    """
    crop, above = _framed(picture, landmarks, _SHARPNESS_SIDE)
    inner = cv2.erode(above.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not inner.any():
        return np.nan
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges, contrast = cv2.Laplacian(grey, cv2.CV_32F)[inner].var(), grey[inner].var()
    return float(np.log10(edges / contrast)) if edges > 0 and contrast > 0 else np.nan


@torch.inference_mode()
def _embedding(chain: Chain, crop: np.ndarray) -> list[float]:
    """The pooled features that the gender network decides by."""
    levels = chain.networks["gender"].backbone(chain.seen(crop, "gender"))
    return torch.cat([level.mean(dim=(2, 3)) for level in levels], dim=1)[0].tolist()


def _measured(
    picture: np.ndarray, restored: Restoration, face: FaceAnswer, chain: Chain
) -> dict[str, float | list[float]]:
    frame = (chain.size, chain.size)
    transform, pose = canonical_transform(face.landmarks, chain.size), pose_of(face.landmarks)
    crop, above = _framed(picture, face.landmarks, chain.size)
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    figures = {
        "brightness": float(lab[above][:, 0].mean()) if above.any() else np.nan,
        "sharpness": _sharpness(picture, face.landmarks),
        "size": pose.size,
        "yaw": pose.yaw,
        "gender_male": face.gender_male,
        "score": face.score,
        "embedding": _embedding(chain, crop),
    }
    mask = shown(restored.mask, transform, frame)
    if face.status == RESTORED and mask.any():
        colour = lab[mask].mean(axis=0).tolist()
        figures |= dict(zip(("colour_l", "colour_a", "colour_b"), colour, strict=True))
        figures["mask_fraction"] = face.mask_fraction
    return figures


def summarise(picture: np.ndarray, restored: Restoration, chain: Chain) -> list[Row]:
    """A row a face, NaN where there is nothing to measure, such as the mask of a bare face.

    Args:
        picture: (H, W, 3) uint8 RGB, as it was given.
        restored: the chain's answer to it.
        chain: that answered.

    Returns:
        Of each face: `model`, `status`; `brightness`, mean CIELAB L* (0..100) of its canonical
        frame above where masks begin; `sharpness`, there, see `_sharpness`; `size`, its
        inter-ocular distance in pixels as if frontal; `yaw`, degrees, positive looking to image
        right; `mask_fraction`, `gender_male` and `score` as in the answer; `colour_l`, `colour_a`,
        `colour_b`, mean CIELAB of the mask; `embedding`, the gender network's pooled features of
        the frame, none where the face was skipped.
    """
    rows = []
    for face in restored.faces:
        row: Row = dict.fromkeys(
            ("brightness", "sharpness", "size", "yaw", "mask_fraction"), np.nan
        ) | dict.fromkeys(("colour_l", "colour_a", "colour_b", "gender_male", "score"), np.nan)
        row |= {"model": model_of(chain), "status": face.status, "embedding": []}
        if face.status != SKIPPED and face.landmarks is not None:
            try:
                row |= _measured(picture, restored, face, chain)
            except ValueError:  # its eyes lie within one pixel
                row["status"] = SKIPPED
        rows.append(row)
    return rows
