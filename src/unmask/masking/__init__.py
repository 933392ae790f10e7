"""Draws face masks on faces, to learn from what lies under them."""

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
