"""Synthetic face masks, rendered on faces to learn from what they cover.

Points on a face are (u, v) of `unmask.masking.chart`. Lengths that are not in pixels are in
inter-ocular distances, of which `Pose.size` is the number of pixels. `dyes` are RGB, 0 to 255, as
seen under white light.
"""

from unmask.masking.fabrics import FABRICS
from unmask.masking.finish import DEFECTS
from unmask.masking.occluders import OCCLUDERS
from unmask.masking.placement import MaskedFace, MaskPlacementError, put_on
from unmask.masking.shapes import MASK_TYPES
from unmask.masking.wear import WEARS

__all__ = [
    "DEFECTS", "FABRICS", "MASK_TYPES", "OCCLUDERS", "WEARS", "MaskPlacementError", "MaskedFace",
    "put_on",
]  # fmt: skip
