"""One annotated face, as every source delivers it and every later stage stores it."""

from dataclasses import dataclass, replace

import numpy as np

from unmask.geometry.frame import canonical_transform, move_points, scale_of, shown, warp


@dataclass(frozen=True)
class Face:
    """A picture of one face with its annotation.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) float32, iBUG-68 order, pixels of `image`.
        gender: 'male' or 'female' as the source labels it, else None.
        valid: (H, W) bool, the pixels that the source really shows.
        split: see `unmask.datasets.splits`.
        source: name of the source.
        id: unique over all sources.
        scale: source pixels per pixel of `image`.
        identity: of the person, where it is known.
        age: in years, where it is known.
        ethnicity: as the source names it, where it is known.
    """

    image: np.ndarray
    landmarks: np.ndarray
    gender: str | None
    valid: np.ndarray
    split: str
    source: str
    id: str
    scale: float = 1.0
    identity: str | None = None
    age: int | None = None
    ethnicity: str | None = None


def framed(face: Face, size: int) -> Face:
    """Warp a face to the canonical frame of side `size` pixels.

    Pixels that the picture does not show become invalid.

    Raises:
        ValueError: when its eye landmarks coincide.
    """
    transform = canonical_transform(face.landmarks, size)
    valid = shown(face.valid, transform, (size, size))
    return replace(
        face,
        image=warp(face.image, transform, (size, size)),
        landmarks=move_points(face.landmarks, transform),
        valid=valid,
        scale=face.scale * scale_of(transform),
    )
