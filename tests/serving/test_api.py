"""The front end while there is no model, which bad requests do not need."""

import asyncio
import gzip
import json
import resource
from contextlib import nullcontext

import httpx
import numpy as np
import pytest
from restorations import to_base64
from scraped import figures

from unmask.inference.pictures import encode_picture
from unmask.serving.api import Limits, RequestQueue, build_app
from unmask.serving.schemas import RefusedError, RestoreParams
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


def test_the_server_is_alive_before_it_is_ready_and_is_measured():
    supervisor = Supervisor(1, print)
    queue = RequestQueue(supervisor, Limits())
    app = queue.metrics.counted(build_app(supervisor, queue, nullcontext))

    async def answers() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            await client.post("/invocations", content=b"{", headers=JSON)
            await client.get("/some/page?x=1")
            queue.metrics.count_faces([{"status": "restored"}, {"status": "skipped"}])
            return [
                await client.get(path) for path in ("/health/live", "/health/ready", "/metrics")
            ]

    live, ready, metrics = asyncio.run(answers())
    assert (live.status_code, ready.status_code) == (200, 503)
    values = figures(metrics.text)
    assert values["unmask_http_requests_total", "/invocations", "400"] == 1
    assert values["unmask_http_requests_total", "page", "404"] == 1
    assert values["unmask_http_requests_total", "/health/ready", "503"] == 1
    assert values["unmask_http_request_seconds_count", "/invocations"] == 1
    assert values["unmask_faces_total", "restored"] == 1
    assert values["unmask_requests_waiting",] == 0
    assert values["unmask_trouble",] == 0


def test_a_gzip_body_is_taken_and_bounded():
    limits = Limits(body_bytes=5000, seconds=0.2)
    zipped = JSON | {"Content-Encoding": "gzip"}
    for body, status, sentence in (
        (gzip.compress(GOOD), 504, "no answer within"),
        (gzip.compress(b" " * 5001), 413, "the body has 5001 bytes"),
        (gzip.compress(GOOD)[:-9], 400, "the body is not whole gzip"),
        (GOOD, 400, "the body is not gzip"),
    ):
        answer, _ = ask(limits, (body, zipped))
        assert (answer.status_code, sentence in answer.json()["message"]) == (status, True)
    answer, _ = ask(limits, (GOOD, JSON | {"Content-Encoding": "br"}))
    assert answer.status_code == 415
    assert answer.json()["message"] == "the content encoding is br: send gzip or none."


def test_a_bomb_of_gzip_is_refused_in_little_memory():
    bomb = gzip.compress(bytes(400_000_000), 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer, _ = ask(Limits(body_bytes=2_000_000), (bomb, JSON | {"Content-Encoding": "gzip"}))
    assert answer.status_code == 413
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def form(limits: Limits = Limits(seconds=0.2), **options) -> httpx.Response:  # noqa: B008
    supervisor = Supervisor(1, print)
    app = build_app(supervisor, RequestQueue(supervisor, limits), nullcontext)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            return await client.post("/restore", **options)

    return asyncio.run(answer())


PNG = {"picture": ("a.png", encode_picture(PIXELS), "image/png")}


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        ({"files": PNG}, 504, "no answer within 0.2 seconds"),
        ({"files": PNG, "data": {"samples": "2", "crop": "true"}}, 504, "no answer within"),
        ({"files": PNG, "data": {"samples": "many"}}, 400, "param 'samples' is 'many'"),
        ({"files": PNG, "data": {"samples": "33"}}, 400, "param 'samples' is '33'"),
        ({"files": PNG, "data": {"colour": "1"}}, 400, "unknown param 'colour'"),
        ({"files": {"photo": PNG["picture"]}}, 400, "the form has no file 'picture'"),
        ({"files": {"picture": ("a.png", b"no image")}}, 400, "the picture: not an image"),
        ({"files": {"picture": ("a.png", bytes(40_000))}}, 413, "the form has more than the 20000"),
        ({"files": [("picture", PNG["picture"]), ("b", PNG["picture"])]}, 400, "Too many files"),
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415, "is text/plain"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "the form cannot be read",
        ),
    ],
)
def test_a_form_is_checked(options, status, sentence):
    answer = form(Limits(body_bytes=20_000, seconds=0.2), **options)
    assert (answer.status_code, sentence in answer.json()["message"]) == (status, True)


def test_what_may_be_asked_is_told():
    supervisor = Supervisor(1, print)
    schema = build_app(supervisor, RequestQueue(supervisor, Limits()), nullcontext).openapi()
    fields = schema["paths"]["/restore"]["post"]["requestBody"]["content"]["multipart/form-data"]
    assert set(fields["schema"]["properties"]) == {"picture", *RestoreParams.model_fields}
    probes = {"/health", "/health/live", "/health/ready"}
    assert {"/invocations", "/restore", "/version", *probes} == set(schema["paths"])


def test_invocations_are_posted():
    supervisor = Supervisor(1, print)
    app = build_app(supervisor, RequestQueue(supervisor, Limits()), nullcontext)

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://front") as client:
            return await client.get("/invocations")

    got = asyncio.run(answer())
    assert (got.status_code, got.headers["allow"]) == (405, "POST")


def test_a_client_that_hangs_up_leaves_no_traceback():
    supervisor = Supervisor(1, print)
    app = build_app(supervisor, RequestQueue(supervisor, Limits()), nullcontext)
    scope = {
        "type": "http", "method": "POST", "path": "/invocations", "raw_path": b"/invocations",
        "query_string": b"", "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1", "scheme": "http", "server": ("front", 80), "client": ("a", 1),
        "root_path": "",
    }  # fmt: skip
    sent = []

    async def receive() -> dict:
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 499


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
