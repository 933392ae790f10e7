"""Requests in MLflow's scoring protocol, checked before any of them costs a restoration."""

import json
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unmask.errors import UnmaskError
from unmask.inference.chain import SMALLEST_PICTURE
from unmask.inference.pictures import from_base64
from unmask.inference.results import MOST_SAMPLES, PictureError

COLUMN = "image"
_FIELDS = ("dataframe_records", "dataframe_split", "inputs", "instances")


class RefusedError(UnmaskError):
    """A request that is not answered, with the HTTP status to say so by."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class RestoreParams(BaseModel):
    """The params of the registered model (registry/pyfunc.py), in their ranges."""

    model_config = ConfigDict(extra="forbid", strict=True)

    crop: bool = False
    gender: Literal["auto", "male", "female"] = "auto"
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


@dataclass(frozen=True)
class RestoreRequest:
    """Pictures to restore, as base64, and the params to restore them with."""

    pictures: tuple[str, ...]
    params: dict

    def as_json(self) -> bytes:
        """The one form in which every request reaches MLflow's server."""
        records = [{COLUMN: picture} for picture in self.pictures]
        return json.dumps({"dataframe_records": records, "params": self.params}).encode()


def parse(body: bytes, most: int) -> RestoreRequest:
    """What a request body asks for, its pictures decoded once to see that they are some.

    Args:
        most: pictures that one request may hold.

    Raises:
        RefusedError: with a sentence, for whatever is wrong with it.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"the body is not JSON ({error}).") from error
    if not isinstance(document, dict):
        raise RefusedError(
            400, f"the body is no JSON object: send one with {' or '.join(_FIELDS)}."
        )
    if unknown := sorted(set(document) - {*_FIELDS, "params"}):
        raise RefusedError(
            400, f"unknown field '{unknown[0]}': use {', '.join(_FIELDS)} and params."
        )
    given = [field for field in _FIELDS if field in document]
    if len(given) != 1:
        raise RefusedError(400, f"send exactly one of {', '.join(_FIELDS)}.")
    pictures = _column(given[0], document[given[0]])
    if not 1 <= len(pictures) <= most:
        raise RefusedError(400, f"{len(pictures)} pictures were sent: send 1 to {most} a request.")
    request = RestoreRequest(tuple(pictures), check_params(document.get("params", {})))
    for row, picture in enumerate(pictures):
        check_picture(picture, f"row {row}")
    return request


def check_params(params: object) -> dict:
    """The params, whose names and values are checked.

    Raises:
        RefusedError: naming the param that does not fit.
    """
    if not isinstance(params, dict):
        raise RefusedError(400, "params must be a JSON object.")
    try:
        RestoreParams.model_validate(params)
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        if first["type"] == "extra_forbidden":
            names = ", ".join(RestoreParams.model_fields)
            raise RefusedError(400, f"unknown param '{name}': use {names}.") from error
        wanted = first["msg"][:1].lower() + first["msg"][1:]
        raise RefusedError(
            400, f"param '{name}' is {str(first['input'])[:100]!r}: {wanted}."
        ) from error
    return params


def check_picture(text: object, name: str) -> None:
    """See that base64 text is a picture of a size that is taken.

    Raises:
        RefusedError: naming the picture.
    """
    if not isinstance(text, str):
        raise RefusedError(400, f"{name}: column '{COLUMN}' is no text: send base64.")
    try:
        height, width = from_base64(text, name).shape[:2]
    except PictureError as error:
        raise RefusedError(400, str(error)) from error
    if min(height, width) < SMALLEST_PICTURE:
        raise RefusedError(
            400,
            f"{name}: {width} x {height} pixels; at least {SMALLEST_PICTURE} are needed each way.",
        )


def _column(field: str, value: object) -> list:
    """Column `image` of one of the protocol's four forms of a table.

    Raises:
        RefusedError: when the form is another, or has no such column.
    """
    missing = RefusedError(
        400, f"{field} has no column '{COLUMN}': send the picture there as base64."
    )
    if field == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise RefusedError(400, "dataframe_split must be an object with columns and data.")
        columns = value.get("columns")
        if not isinstance(columns, list) or columns.count(COLUMN) != 1:
            raise missing
        if not all(isinstance(row, list) and len(row) == len(columns) for row in value["data"]):
            raise RefusedError(400, "dataframe_split has a row that is not as long as its columns.")
        return [row[columns.index(COLUMN)] for row in value["data"]]
    if field != "dataframe_records":  # these two also take columns, or the one column's values
        if isinstance(value, dict):
            if COLUMN not in value:
                raise missing
            return value[COLUMN] if isinstance(value[COLUMN], list) else [value[COLUMN]]
        if isinstance(value, list) and not any(isinstance(row, dict) for row in value):
            return value
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise RefusedError(400, f"{field} must be a list of objects with '{COLUMN}'.")
    if not all(COLUMN in row for row in value):
        raise missing
    return [row[COLUMN] for row in value]
