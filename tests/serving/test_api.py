"""The front end while there is no model, which bad requests do not need."""

import asyncio
import json
from contextlib import nullcontext

import httpx
import numpy as np
import pytest

from unmask.inference.pictures import encode_picture, to_base64
from unmask.serving.api import Limits, RequestQueue, build_app
from unmask.serving.schemas import RefusedError
from unmask.serving.supervisor import Supervisor

PIXELS = np.full((20, 30, 3), 90, np.uint8)
GOOD = json.dumps({"inputs": [to_base64(PIXELS)]}).encode()
JSON = {"Content-Type": "application/json"}


def ask(limits: Limits, *requests: tuple[bytes, dict]) -> list[httpx.Response]:
    """The answers to requests that are sent at the same time."""
    supervisor = Supervisor(1, print)
    app = build_app(supervisor, RequestQueue(supervisor, limits), nullcontext)

    async def answers() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            sent = (
                client.post("/invocations", content=body, headers=headers)
                for body, headers in requests
            )
            return [*await asyncio.gather(*sent), await client.get("/health")]

    return asyncio.run(answers())


@pytest.mark.parametrize(
    ("body", "headers", "status", "sentence"),
    [
        (GOOD, {}, 415, "the content type is nothing: send application/json."),
        (GOOD, {"Content-Type": "text/csv"}, 415, "the content type is text/csv"),
        (b" " * 2001, JSON, 413, "the body has 2001 bytes, more than the 2000 that are taken."),
        (b"{", JSON, 400, "the body is not JSON"),
        (json.dumps({"inputs": ["aGk="] * 3}).encode(), JSON, 400, "send 1 to 2 a request."),
        (json.dumps({"inputs": ["aGk="]}).encode(), JSON, 400, "row 0: not an image"),
    ],
)
def test_mistakes_are_told_without_a_model(body, headers, status, sentence):
    answer, health = ask(Limits(body_bytes=2000, pictures=2), (body, headers))
    assert answer.status_code == status
    assert set(answer.json()) == {"error_code", "message"}
    assert sentence in answer.json()["message"]
    assert health.status_code == 503


def test_a_request_without_a_model_is_given_up_in_time():
    answer, _ = ask(Limits(seconds=0.2), (GOOD, JSON))
    assert answer.status_code == 504
    assert answer.json()["message"] == "no answer within 0.2 seconds; try again later."
    assert answer.headers["Retry-After"] == "5"


def test_more_requests_than_may_wait_are_refused_at_once():
    *answers, _ = ask(Limits(seconds=0.5, requests=2), *[(GOOD, JSON)] * 5)
    assert [answer.status_code for answer in answers] == [504, 504, 503, 503, 503]
    assert answers[-1].json()["message"] == "2 requests wait already; try again later."
    assert answers[-1].headers["Retry-After"] == "5"


def test_the_page_asks_in_the_same_queue():
    async def asked(seconds: float, picture: bytes, params: dict) -> None:
        supervisor = Supervisor(1, print)
        queue = RequestQueue(supervisor, Limits(seconds=seconds))
        queue.loop = asyncio.get_running_loop()
        await asyncio.to_thread(queue.restore, picture, params)

    for seconds, picture, params, sentence in (
        (60, b"no picture", {}, "the picture: not an image that can be read"),
        (60, encode_picture(PIXELS), {"gender": 1}, "param 'gender'"),
        (0.2, encode_picture(PIXELS), {}, "no answer within 0.2 seconds"),
    ):
        with pytest.raises(RefusedError, match=sentence):
            asyncio.run(asked(seconds, picture, params))
