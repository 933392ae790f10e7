"""Uploads in a real server: their sizes, their sum and the time that they may take."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from loopback import answered, on_loopback
from team.services import until

from unmask.serving import page_requests
from unmask.serving.page_requests import PageRequests

UPLOAD = "/gradio_api/upload"


async def counted(scope, receive, send) -> None:
    """Answers the number of bytes of a request's body; nothing where its client is gone."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            size, more = -1, False
        else:
            size, more = size + len(message["body"]), message.get("more_body", False)
    answer = str(size).encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    monkeypatch.setattr(page_requests, "MOST_KEPT", 10_000)
    monkeypatch.setattr(page_requests, "_BODY_SECONDS", 0.5)
    app = PageRequests(counted, lambda: 4_000, 5_000)
    with on_loopback(app, ws="none", lifespan="off") as served:
        yield served


def status(port: int, content, path: str = UPLOAD) -> int:
    return httpx.post(f"http://127.0.0.1:{port}{path}", content=content).status_code


def test_uploads_are_bounded_one_by_one_and_together(port):
    assert status(port, bytes(5_000)) == 200
    assert status(port, bytes(5_001)) == 413
    assert status(port, iter([bytes(10)])) == 411  # in chunks, whose sum nobody knows
    with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
        head = f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n"
        slow.sendall(head.encode() + b"a")
        until(lambda: status(port, bytes(2_001)) == 507, "the place is taken", 30)
        assert answered(slow, 2) == b"-1"  # its time is over
    assert status(port, bytes(5_000)) == 200


def test_a_length_does_not_hide_chunks(port):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        head = f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n".encode())
        assert b" 411 " in client.recv(1000).splitlines()[0]


@pytest.mark.parametrize("path", ["/gradio_api/proxy=x", "/gradio_api/file=http://x", "/docs"])
def test_what_the_page_does_not_ask_is_not_answered(port, path):
    assert status(port, b"", path) == 404
    assert status(port, b"ab", "/gradio_api/queue/join") == 200
