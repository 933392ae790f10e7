"""Who may ask the server, and what every answer says."""

import asyncio
import base64
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from unmask.errors import UnmaskError
from unmask.serving.access import Access, guarded

TOKEN = "a token of many characters"
HOST = "http://localhost:8000"


def app() -> FastAPI:
    """An application that reflects every origin, as gradio's does."""
    application = FastAPI()
    application.add_middleware(
        CORSMiddleware, allow_origin_regex=".*", allow_credentials=True, allow_methods=["*"]
    )

    @application.api_route("/{path:path}", methods=["GET", "POST"])
    def anything(path: str) -> str:
        return path

    return application


def ask(
    access: Access, path: str = "/invocations", method: str = "POST", **headers: str
) -> httpx.Response:
    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(guarded(app(), access))
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            return await client.request(
                method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )

    return asyncio.run(answer())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.5.5.5"])
def test_loopback_needs_no_token(host):
    assert Access.parse(host, (), (), None, False).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "faces.example.org"])
def test_beyond_loopback_a_token_is_needed_or_said_not_to_be(host, tmp_path):
    with pytest.raises(UnmaskError, match="--token-file, or say --no-token"):
        Access.parse(host, (), (), None, False)
    assert Access.parse(host, (), (), None, True).token is None
    (tmp_path / "token").write_text(f"{TOKEN}\n\n")
    assert Access.parse(host, (), (), tmp_path / "token", False).token == TOKEN


@pytest.mark.parametrize(("content", "words"), [("short\n", "5 characters"), (None, "No such")])
def test_a_token_file_is_checked(tmp_path: Path, content, words):
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UnmaskError, match=words):
        Access.parse("127.0.0.1", (), (), file, False)


def test_the_token_is_taken_as_bearer_or_as_password():
    access = Access(token=TOKEN)
    password = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for given in (f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Basic {password}"):
        assert ask(access, Authorization=given).status_code == 200
    wrong = base64.b64encode(b"anyone:wrong").decode()
    for given in ("", "Bearer", f"Bearer {TOKEN}x", f"Basic {wrong}", "Basic %", f"Digest {TOKEN}"):
        refused = ask(access, Authorization=given)
        assert refused.status_code == 401
        assert refused.headers["WWW-Authenticate"].startswith("Basic")
        assert TOKEN not in refused.text
    assert ask(access).status_code == 401
    assert ask(access, "/health", "GET").status_code == 200


def test_another_host_name_is_not_answered():
    assert ask(Access(), Host="rebound.example.org").status_code == 400
    assert ask(Access(), Host="127.0.0.1:8000").status_code == 200
    assert ask(Access(), "/health/live", "GET", Host="10.0.0.7:8000").status_code == 200
    access = Access.parse("0.0.0.0", ("faces.example.org",), (), None, True)
    assert ask(access, Host="faces.example.org").status_code == 200
    assert ask(access, Host="rebound.example.org").status_code == 400
    assert ask(Access.parse("192.168.1.2", (), (), None, True), Host="192.168.1.2").is_success


def test_a_page_elsewhere_may_not_ask():
    for origin in ("http://evil.example.org", "null", "http://localhost:8001"):
        refused = ask(Access(), Origin=origin)
        assert refused.status_code == 403
        assert not {h for h in refused.headers if h.startswith("access-control")}
    assert ask(Access(), Origin=HOST).status_code == 200
    assert "access-control-allow-credentials" not in ask(Access(), Origin=HOST).headers


def test_a_page_that_is_named_may_ask():
    access = Access.parse("127.0.0.1", (), ("https://shop.example.org/",), None, False)
    answer = ask(access, Origin="https://shop.example.org")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.org"
    preflight = ask(access, method="OPTIONS", Origin="https://shop.example.org")
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("access", [Access(), Access(token=TOKEN)])
def test_every_answer_has_the_headers(access):
    for headers in ({}, {"Host": "rebound.example.org"}, {"Origin": "null"}):
        answer = ask(access, **headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_websocket_is_closed():
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(guarded(app(), Access())({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
