"""How a mask is put into the picture: seen by the camera, or pasted on by a tool.

A pasted mask shows faults: it ignores the light, the sharpness or the resolution of its face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

DEFECTS = ("edge", "unshaded", "light", "texture", "resolution", "shadow", "border")


@dataclass(frozen=True)
class Finish:
    """The faults of one mask; the defaults are of one without any.

    hard: its edge is cut without any transition; shade: how much of its relief shows; lit:
    whether the face's light falls on it; gain: RGB gain beside that; grain, blur: over the
    photo's own; block: side in pixels of its squares; quality: of its JPEG, 0 for none; shadow:
    strength over the usual; border: width in sizes; border_dye: RGB.
    """

    hard: bool = False
    shade: float = 1.0
    lit: bool = True
    gain: np.ndarray | float = 1.0
    grain: float = 1.0
    blur: float = 1.0
    block: float = 0.0
    quality: int = 0
    shadow: float = 1.0
    border: float = 0.0
    border_dye: np.ndarray | float = 255.0


def drawn_finish(rng: np.random.Generator, defects: Mapping[str, float], pasted: float) -> Finish:
    """A finish in which each fault has the chance that `defects` or else `pasted` gives it."""
    has = {name: rng.random() < 1 - (1 - defects.get(name, 0.0)) * (1 - pasted) for name in DEFECTS}
    faults: dict[str, object] = {}
    if has["edge"]:
        faults["hard"] = True
    if has["unshaded"]:
        faults["shade"] = rng.uniform(0, 0.4)
    if has["light"]:
        tint = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.5 else np.ones(3)
        faults |= {"lit": rng.random() < 0.3, "gain": tint * rng.uniform(0.45, 1.3)}
    if has["texture"]:
        faults |= {"grain": rng.uniform(0, 3), "blur": rng.choice([0.0, rng.uniform(1.2, 3)])}
    if has["resolution"]:
        rough = rng.random() < 0.5
        faults |= (
            {"block": rng.uniform(0.02, 0.07)} if rough else {"quality": int(rng.integers(6, 40))}
        )
    if has["shadow"]:
        faults["shadow"] = rng.choice([0.0, 0.0, rng.uniform(1.2, 1.9)])
    if has["border"]:
        pale = rng.random() < 0.7
        dye = np.full(3, rng.uniform(225, 250)) if pale else rng.uniform(10, 200, 3)
        faults |= {"border": rng.uniform(0.015, 0.10), "border_dye": dye}
    return Finish(**faults)


def coarse(planes: np.ndarray, block: int) -> np.ndarray:
    """Planes (n, h, w) float32 in squares of `block` pixels."""
    height, width = planes.shape[1:]
    few = (max(1, round(width / block)), max(1, round(height / block)))
    return np.stack([
        cv2.resize(cv2.resize(plane, few, interpolation=cv2.INTER_AREA), (width, height),
                   interpolation=cv2.INTER_NEAREST)
        for plane in planes
    ])  # fmt: skip


def recompressed(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 as JPEG of this quality gives it back."""
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)
