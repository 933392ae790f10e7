"""Chances of objects in front of a face."""

from typing import Annotated

from pydantic import AfterValidator

from unmask.config.section import Fraction, check_names

OCCLUDERS = ("hand", "hair", "microphone", "cup", "scarf")


def _known(chances: dict[str, float]) -> dict[str, float]:
    check_names(OCCLUDERS, chances)
    return chances


Occluders = Annotated[dict[str, Fraction], AfterValidator(_known)]
