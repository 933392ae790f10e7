"""What every section of params.yaml shares: strictness, ranges of values, errors in a sentence."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent type coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def check_names(names: tuple[str, ...], given: dict[str, float]) -> None:
    """Raise ValueError where a name is none of those there are."""
    if unknown := sorted(set(given) - set(names)):
        raise ValueError(f"unknown name {unknown[0]!r}, use {', '.join(names)}")


def _ascending(values: tuple) -> tuple:
    if list(values) != sorted(values):
        raise ValueError("write it in ascending order")
    return values


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
ASCENDING = AfterValidator(_ascending)
Interval = Annotated[tuple[float, float], Field(strict=False), ASCENDING]
FractionInterval = Annotated[tuple[Fraction, Fraction], Field(strict=False), ASCENDING]
PositiveInterval = Annotated[tuple[Positive, Positive], Field(strict=False), ASCENDING]
PositiveFractionInterval = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]],
    Field(strict=False),
    ASCENDING,
]
CountInterval = Annotated[tuple[Count, Count], Field(strict=False), ASCENDING]
Counts = Annotated[tuple[Count, ...], Field(strict=False, min_length=1), ASCENDING]


def sentence_of(error: ValidationError, path: Path) -> str:
    """One sentence that names the file, the first key that does not fit, and what is wrong."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown parameter '{key}', remove it or correct its spelling."
    if first["type"] == "missing":
        return f"{path}: parameter '{key}' is missing, add it (see conf/)."
    reason = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], dict) or not key:
        return f"{path}: '{key or 'the whole file'}' does not fit: {reason}."
    return f"{path}: parameter '{key}' is {first['input']!r}: {reason}."
