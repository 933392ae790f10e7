import base64
import json

import numpy as np
import pytest
from restorations import to_base64

from unmask.inference.pictures import encode_picture
from unmask.serving import schemas as request
from unmask.serving.schemas import RefusedError, RestoreParams, parse_request

PICTURE = to_base64(np.full((20, 30, 3), 90, np.uint8))
OTHER = to_base64(np.full((24, 18, 3), 30, np.uint8))


def body(**document) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "table",
    [
        {"dataframe_records": [{"image": PICTURE}, {"image": OTHER, "id": 3}]},
        {"dataframe_split": {"columns": ["id", "image"], "data": [[1, PICTURE], [2, OTHER]]}},
        {"inputs": {"image": [PICTURE, OTHER]}},
        {"inputs": [PICTURE, OTHER]},
        {"instances": [{"image": PICTURE}, {"image": OTHER}]},
        {"instances": [PICTURE, OTHER]},
    ],
    ids=lambda table: next(iter(table)),
)
def test_all_forms_of_the_protocol_mean_the_same(table):
    params = {"crop": True, "samples": 2}
    asked = parse_request(body(**table, params=params), 2)
    assert asked.pictures == (PICTURE, OTHER)
    assert asked.params == params


def records(*pictures) -> dict:
    return {"dataframe_records": [{"image": picture} for picture in pictures]}


SMALL = to_base64(np.zeros((15, 40, 3), np.uint8))
CUT = base64.b64encode(encode_picture(np.zeros((64, 64, 3), np.uint8))[:60]).decode()


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"{'image': 1}", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body is no JSON object"),
        (body(), "exactly one of dataframe_records, dataframe_split, inputs, instances"),
        (body(**records(PICTURE), inputs=[PICTURE]), "exactly one of"),
        (body(**records(PICTURE), crop=True), "unknown field 'crop'"),
        (body(dataframe_records=[{"picture": PICTURE}]), "no column 'image'"),
        (body(dataframe_records={"image": [PICTURE]}), "must be a list of objects"),
        (body(dataframe_records=[PICTURE]), "must be a list of objects"),
        (body(dataframe_split={"columns": ["x"], "data": [[1]]}), "no column 'image'"),
        (body(dataframe_split={"data": [[PICTURE]]}), "no column 'image'"),
        (body(dataframe_split={"columns": ["image"], "data": [[]]}), "not as long as its columns"),
        (body(dataframe_split=[PICTURE]), "an object with columns and data"),
        (body(inputs={"picture": [PICTURE]}), "inputs has no column 'image'"),
        (body(inputs=3), "must be a list of objects"),
        (body(**records()), "0 pictures were sent: send 1 to 2"),
        (body(**records(PICTURE, PICTURE, PICTURE)), "3 pictures were sent: send 1 to 2"),
        (body(**records(PICTURE, "no base64!")), "row 1: not base64"),
        (body(**records(7)), "row 0: column 'image' is no text"),
        (body(**records("aGVsbG8=")), "row 0: not an image that can be read"),
        (body(**records(CUT)), "row 0: not an image that can be read"),
        (body(**records(SMALL)), "row 0: 40 x 15 pixels; at least 16"),
        (body(**records(PICTURE), params=[1]), "params must be a JSON object"),
        (
            body(**records(PICTURE), params={"colour": 1}),
            "unknown param 'colour': use crop, faces, gender",
        ),
        (
            body(**records(PICTURE), params={"gender": "x"}),
            "param 'gender' is 'x': input should be",
        ),
        (body(**records(PICTURE), params={"samples": 33}), "param 'samples' is '33'"),
        (body(**records(PICTURE), params={"samples": True}), "param 'samples' is 'True'"),
        (body(**records(PICTURE), params={"crop": "yes"}), "param 'crop' is 'yes'"),
        (body(**records(PICTURE), params={"seed": -1}), "param 'seed' is '-1'"),
    ],
)
def test_each_mistake_is_told_in_a_sentence(raw, sentence):
    with pytest.raises(RefusedError, match=sentence.replace("(", r"\(")) as told:
        parse_request(raw, 2)
    assert told.value.http_status == 400
    message = str(told.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "0x" not in message


def test_a_picture_with_too_many_pixels_is_refused():
    wide = base64.b64encode(encode_picture(np.zeros((7001, 7201, 3), np.uint8))).decode()
    with pytest.raises(RefusedError, match="row 0: 7201 x 7001 pixels, more than the 50 million"):
        parse_request(body(**records(wide)), 2)


def test_the_params_are_those_of_the_registered_model():
    from unmask.registry import pyfunc

    stored = {spec.name: spec.default for spec in pyfunc.PARAMS.params}
    assert {name: field.default for name, field in RestoreParams.model_fields.items()} == stored
    assert [column.name for column in pyfunc.INPUTS.inputs] == [request.IMAGE_COLUMN]
