"""Draws face masks on faces, to learn from what lies under them."""

from unmask.masking.fabrics import FABRICS
from unmask.masking.placement import MaskedFace, MaskPlacementError, put_on
from unmask.masking.shapes import MASK_TYPES
from unmask.masking.wear import WEARS

__all__ = [
    "FABRICS", "MASK_TYPES", "WEARS", "MaskPlacementError", "MaskedFace", "put_on",
]  # fmt: skip
