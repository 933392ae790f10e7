"""Requests in MLflow's scoring protocol, validated before they reach a worker."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unmask.errors import UnmaskError
from unmask.inference.chain import SMALLEST_PICTURE
from unmask.inference.pictures import from_base64
from unmask.inference.results import FACES, MOST_SAMPLES, PictureError

IMAGE_COLUMN = "image"
_FIELDS = ("dataframe_records", "dataframe_split", "inputs", "instances")


class RefusedError(UnmaskError):
    """A request that is not answered.

    Args:
        http_status: of the response.
        sentence: says why, and what to do.
    """

    def __init__(self, http_status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.http_status = http_status


class RestoreParams(BaseModel):
    """The params of the registered model (registry/pyfunc.py), with their ranges."""

    model_config = ConfigDict(extra="forbid", strict=True)

    crop: bool = False
    faces: Annotated[str, Field(pattern=f"^({FACES})$")] = "all"
    gender: Literal["auto", "male", "female"] = "auto"
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    format: Literal["same", "png", "jpeg", "webp", "tiff", "avif"] = "png"
    quality: Annotated[int, Field(ge=0, le=100)] = 0
    strip_metadata: bool = False


_FORM_DEFAULTS = {"format": "same"}  # where they are not RestoreParams'


def form_schema() -> dict:
    """OpenAPI of POST /restore, whose form is read in pieces."""
    params = RestoreParams.model_json_schema()["properties"]
    for name, default in _FORM_DEFAULTS.items():
        params[name]["default"] = default
    fields = {"picture": {"type": "string", "format": "binary"}} | params
    schema = {"type": "object", "required": ["picture"], "properties": fields}
    content = {"multipart/form-data": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


@dataclass(frozen=True)
class RestoreRequest:
    """A valid request.

    Attributes:
        pictures: bytes of image files as base64, one or more.
        params: of the registered model; a missing one takes its default.
    """

    pictures: tuple[str, ...]
    params: dict


def parse_request(body: bytes, most: int) -> RestoreRequest:
    """Parse and validate a request's body; every picture is decoded once to check it.

    Args:
        body: JSON.
        most: number of pictures that one request may hold, at least 1.

    Raises:
        RefusedError: with a sentence that says what is wrong.
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
    sent = [field for field in _FIELDS if field in document]
    if len(sent) != 1:
        raise RefusedError(400, f"send exactly one of {', '.join(_FIELDS)}.")
    pictures = _image_column(sent[0], document[sent[0]])
    if not 1 <= len(pictures) <= most:
        raise RefusedError(400, f"{len(pictures)} pictures were sent: send 1 to {most} a request.")
    request = RestoreRequest(tuple(pictures), check_params(document.get("params", {})))
    for row, picture in enumerate(pictures):
        check_picture(picture, f"row {row}")
    return request


def parse_form(picture: bytes, fields: dict[str, str]) -> RestoreRequest:
    """Parse and validate a form.

    Args:
        picture: bytes of an image file.
        fields: params by their names, as text.

    Raises:
        RefusedError: with a sentence that says what is wrong.
    """
    given = _FORM_DEFAULTS | fields
    return request_of(picture, _validated(lambda: RestoreParams.model_validate_strings(given)))


def request_of(picture: bytes, params: dict) -> RestoreRequest:
    """The request of one picture, the bytes of an image file.

    Raises:
        RefusedError: when it is no picture, or too small.
    """
    text = b64encode(picture).decode()
    check_picture(text, "the picture")
    return RestoreRequest((text,), params)


def check_params(params: object) -> dict:
    """Validate the names and values of params, which are returned.

    Raises:
        RefusedError: naming the param that does not fit.
    """
    if not isinstance(params, dict):
        raise RefusedError(400, "params must be a JSON object.")
    return _validated(lambda: RestoreParams.model_validate(params))


def _validated(validate: Callable[[], RestoreParams]) -> dict:
    """The params that were given, valid."""
    try:
        return validate().model_dump(exclude_unset=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = first["loc"][0]
        if first["type"] == "extra_forbidden":
            names = ", ".join(RestoreParams.model_fields)
            raise RefusedError(400, f"unknown param '{name}': use {names}.") from error
        reason = first["msg"][:1].lower() + first["msg"][1:]
        raise RefusedError(
            400, f"param '{name}' is {str(first['input'])[:100]!r}: {reason}."
        ) from error


def check_picture(text: object, name: str) -> None:
    """Check that base64 text is a picture that is large enough to restore.

    Args:
        text: bytes of an image file as base64; anything else is refused.
        name: of the picture, for errors.

    Raises:
        RefusedError: naming the picture.
    """
    if not isinstance(text, str):
        raise RefusedError(400, f"{name}: column '{IMAGE_COLUMN}' is no text: send base64.")
    try:
        height, width = from_base64(text, name).pixels.shape[:2]
    except PictureError as error:
        raise RefusedError(400, str(error)) from error
    if min(height, width) < SMALLEST_PICTURE:
        raise RefusedError(
            400,
            f"{name}: {width} x {height} pixels; at least {SMALLEST_PICTURE} are needed each way.",
        )


def _image_column(field: str, value: object) -> list:
    """The values of column `image` in a table, in the protocol's form named `field`.

    Raises:
        RefusedError: when the form is another, or has no such column.
    """
    missing = RefusedError(
        400, f"{field} has no column '{IMAGE_COLUMN}': send the picture there as base64."
    )
    if field == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise RefusedError(400, "dataframe_split must be an object with columns and data.")
        columns = value.get("columns")
        if not isinstance(columns, list) or columns.count(IMAGE_COLUMN) != 1:
            raise missing
        if not all(isinstance(row, list) and len(row) == len(columns) for row in value["data"]):
            raise RefusedError(400, "dataframe_split has a row that is not as long as its columns.")
        return [row[columns.index(IMAGE_COLUMN)] for row in value["data"]]
    if field != "dataframe_records":  # these two also take columns, or the one column's values
        if isinstance(value, dict):
            if IMAGE_COLUMN not in value:
                raise missing
            images = value[IMAGE_COLUMN]
            return images if isinstance(images, list) else [images]
        if isinstance(value, list) and not any(isinstance(row, dict) for row in value):
            return value
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise RefusedError(400, f"{field} must be a list of objects with '{IMAGE_COLUMN}'.")
    if not all(IMAGE_COLUMN in row for row in value):
        raise missing
    return [row[IMAGE_COLUMN] for row in value]
