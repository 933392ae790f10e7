"""The restoration that a new champion's server must manage before it serves."""

import base64
import json
from functools import cache

from unmask.inference.pictures import encode_picture, from_base64
from unmask.inference.results import PictureError
from unmask.masking.samples import sample
from unmask.serving.backend import BackendError
from unmask.serving.schemas import COLUMN, RestoreRequest

_SIDE = 128


@cache
def masked_face() -> RestoreRequest:
    """A masked synthetic face."""
    face = sample(0, 0, _SIDE, masked=True)
    return RestoreRequest((base64.b64encode(encode_picture(face)).decode(),), {})


def check_answer(answer: bytes) -> None:
    """See that a server's answer to `masked_face` is a picture of its size, with its faces.

    Raises:
        BackendError: when it is not.
    """
    try:
        (row,) = json.loads(answer)["predictions"]
        shape, faces = from_base64(row[COLUMN], "its picture").shape, row["faces"]
    except (ValueError, KeyError, TypeError, PictureError) as error:
        raise BackendError(f"its answer is not a restoration ({error!r}).") from error
    if shape != (_SIDE, _SIDE, 3) or not faces:
        raise BackendError(f"its answer has the shape {shape} and {len(faces)} faces.")
