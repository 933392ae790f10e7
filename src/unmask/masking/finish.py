"""How a mask is composited: as a camera would see it, or with the defects of a pasted one.

A pasted mask ignores the light, the sharpness or the resolution of its face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

DEFECTS = ("edge", "unshaded", "light", "texture", "resolution", "shadow", "border")


@dataclass(frozen=True)
class Finish:
    """The defects of one mask; the defaults are those of a mask without any.

    Attributes:
        hard: whether its edge is cut without a transition.
        shade: contrast of its relief, over the usual.
        lit: whether the face's light falls on it.
        gain: additional gain, of all channels or (3,) RGB.
        grain: amplitude of its noise, over the photo's.
        blur: sigma of its blur, over the photo's.
        block: side of the squares that it is pixelated into, in inter-ocular distances, 0 for none.
        quality: of the JPEG that it went through, 0 for none.
        shadow: strength of its shadow, over the usual.
        border: width of a drawn border, in inter-ocular distances, 0 for none.
        border_dye: (3,) RGB.
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


def sample_finish(rng: np.random.Generator, defects: Mapping[str, float], pasted: float) -> Finish:
    """Sample which defects a mask has, and how strong they are.

    Args:
        rng: for the sample.
        defects: names of `DEFECTS` to probabilities.
        pasted: another probability of each defect, independent of the first.
    """
    has = {name: rng.random() < 1 - (1 - defects.get(name, 0.0)) * (1 - pasted) for name in DEFECTS}
    values: dict[str, Any] = {}
    if has["edge"]:
        values["hard"] = True
    if has["unshaded"]:
        values["shade"] = rng.uniform(0, 0.4)
    if has["light"]:
        tint = rng.uniform(0.85, 1.15, 3) if rng.random() < 0.5 else np.ones(3)
        values |= {"lit": rng.random() < 0.3, "gain": tint * rng.uniform(0.45, 1.3)}
    if has["texture"]:
        values |= {"grain": rng.uniform(0, 3), "blur": rng.choice([0.0, rng.uniform(1.2, 3)])}
    if has["resolution"]:
        if rng.random() < 0.5:
            values["block"] = rng.uniform(0.02, 0.07)
        else:
            values["quality"] = int(rng.integers(6, 40))
    if has["shadow"]:
        values["shadow"] = rng.choice([0.0, 0.0, rng.uniform(1.2, 1.9)])
    if has["border"]:
        pale = rng.random() < 0.7
        dye = np.full(3, rng.uniform(225, 250)) if pale else rng.uniform(10, 200, 3)
        values |= {"border": rng.uniform(0.015, 0.10), "border_dye": dye}
    return Finish(**values)


def pixelated(planes: np.ndarray, block: int) -> np.ndarray:
    """Planes (n, h, w) float32, averaged in squares of side `block` pixels."""
    height, width = planes.shape[1:]
    small = (max(1, round(width / block)), max(1, round(height / block)))
    return np.stack([
        cv2.resize(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), (width, height),
                   interpolation=cv2.INTER_NEAREST)
        for plane in planes
    ])  # fmt: skip


def recompressed(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture (h, w, 3) uint8 after JPEG compression at a quality of 1 to 100."""
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded
