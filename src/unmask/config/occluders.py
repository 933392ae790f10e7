"""Chances of objects in front of a face."""

from typing import Annotated

from pydantic import AfterValidator

from unmask.config.section import Fraction

OCCLUDERS = ("hand", "hair", "microphone", "cup", "scarf")


def check_names(names: tuple[str, ...], given: dict[str, float]) -> None:
    """Raise ValueError where a name is none of those there are."""
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"unknown name {unknown[0]!r}, use {', '.join(names)}")


def _known(chances: dict[str, float]) -> dict[str, float]:
    check_names(OCCLUDERS, chances)
    return chances


Occluders = Annotated[dict[str, Fraction], AfterValidator(_known)]
