"""How the mask is worn: properly, below the nose, or slipped."""

from __future__ import annotations

import numpy as np

WEARS = ("proper", "nose_out", "slipped")
MIDDLE = 0.6  # v of the point about which a mask is tilted and stretched


def sample_wear(wear: str, rng: np.random.Generator) -> np.ndarray:
    """Sample the affine transform (2, 3) from the mask's own (u, v) to the face's."""
    tilt, stretch, shift, drop = rng.normal(0, 0.025), 1.0, rng.normal(0, 0.02), 0.0
    if wear == "proper":
        drop = rng.normal(0.0, 0.02)
    elif wear == "nose_out":
        stretch, drop = rng.uniform(0.68, 0.76), rng.uniform(0.16, 0.22)
    elif wear == "slipped":
        tilt, shift = rng.normal(0, 0.05), rng.normal(0, 0.03)
        stretch, drop = rng.uniform(0.78, 0.95), rng.uniform(-0.03, 0.14)
    return np.array(
        [[1.0, -tilt, shift + tilt * MIDDLE], [tilt, stretch, MIDDLE * (1 - stretch) + drop]]
    )
