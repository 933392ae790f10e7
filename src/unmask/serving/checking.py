"""The smoke test that a new champion's server must pass before it serves."""

import base64
import json
from functools import cache

from unmask.inference.pictures import encode_picture, from_base64
from unmask.inference.results import PictureError
from unmask.masking.samples import sample
from unmask.serving.backend import BackendError
from unmask.serving.schemas import IMAGE_COLUMN, RestoreRequest

_SIDE = 128  # pixels


@cache
def smoke_request() -> RestoreRequest:
    """The request of the smoke test: a masked synthetic face."""
    face = sample(0, 0, _SIDE, masked=True)
    return RestoreRequest((base64.b64encode(encode_picture(face)).decode(),), {})


def check_answer(answer: bytes) -> None:
    """Check that a server's answer to `smoke_request` is a picture of its size, with its faces.

    Raises:
        BackendError: when it is not.
    """
    try:
        (row,) = json.loads(answer)["predictions"]
        shape, faces = from_base64(row[IMAGE_COLUMN], "its picture").shape, row["faces"]
    except (ValueError, KeyError, TypeError, PictureError) as error:
        raise BackendError(f"its answer is not a restoration ({error!r}).") from error
    if shape != (_SIDE, _SIDE, 3) or not faces:
        raise BackendError(f"its answer has the shape {shape} and {len(faces)} faces.")
