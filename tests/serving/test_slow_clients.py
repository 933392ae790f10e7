"""A real server on loopback, and sockets that send as slowly as they like."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from loopback import answered, on_loopback

from unmask.serving import slow_clients
from unmask.serving.slow_clients import BoundedHeaders

HEADERS = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n"


async def echo(scope, receive, send) -> None:
    """Answers the body of a request, or its path where there is none."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = body or scope["path"].encode()
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    monkeypatch.setattr(slow_clients, "HEADER_SECONDS", 0.5)
    with on_loopback(echo, http=BoundedHeaders, ws="none", lifespan="off") as served:
        yield served


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


@pytest.mark.parametrize("begun", [b"", b"G", HEADERS[:-2]])
def test_a_client_that_does_not_end_its_headers_is_cut_off(port, begun):
    with connected(port) as client:
        client.sendall(begun)
        assert client.recv(1) == b""


def test_another_byte_of_the_headers_does_not_prolong_them(port):
    with connected(port) as client:
        client.settimeout(0.1)
        for byte in HEADERS[:-2]:  # 5 seconds of them
            try:
                client.sendall(bytes([byte]))
                if client.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("the connection was never closed")


def test_a_slow_body_is_the_application_s_to_bound(port):
    with connected(port) as slow:
        slow.sendall(HEADERS + b"ab")
        with connected(port) as idle:
            assert idle.recv(1) == b""  # more than HEADER_SECONDS later
        slow.sendall(b"cde")
        assert answered(slow, 5) == b"abcde"


def test_a_connection_takes_one_request_after_the_other(port):
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/one").text == "/one"
        with connected(port) as idle:
            assert idle.recv(1) == b""
        assert client.get("/two").text == "/two"


def test_the_headers_of_a_further_request_are_bounded_too(port):
    with connected(port) as client:
        client.sendall(HEADERS + b"abcde")
        assert answered(client, 5) == b"abcde"
        client.sendall(HEADERS[:10])
        assert client.recv(1) == b""
