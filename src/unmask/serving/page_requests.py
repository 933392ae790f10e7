"""Which of gradio's requests are answered: those that the page makes, with bounded uploads.

Gradio also serves as a proxy: it fetches what a request names by its URL (gradio 6.31).
"""

import asyncio
import re
from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_KEPT = 1_000_000_000  # bytes of uploads and answers, that another upload may come to
_BODY_SECONDS = 60  # that the body of a request may take
_UPLOAD = "/gradio_api/upload"
_MADE = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon(/\d+)?)"
    r"|/(assets|static|svelte)/.+"
    rf"|{_UPLOAD}|/gradio_api/(upload_progress|queue/join|queue/data|cancel|reset|startup-events)"
    r"|/gradio_api/(heartbeat/\w+|file=/.+)"
)


class PageRequests:
    """Answers the page's requests by an application, others with 404.

    Args:
        app: gradio's.
        kept: bytes of uploads and answers that are kept at present.
        largest: bytes of an upload, with the form around it.
    """

    def __init__(self, app: ASGIApp, kept: Callable[[], int], largest: int) -> None:
        self._app, self._kept, self._largest = app, kept, largest
        self._arriving = 0  # bytes of the uploads that are being received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif not _MADE.fullmatch(scope["path"]):
            await PlainTextResponse("Not Found", 404)(scope, receive, send)
        elif scope["path"] == _UPLOAD:
            await self._upload(scope, _in_time(receive), send)
        else:
            await self._app(scope, _in_time(receive), send)

    async def _upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"")
        if not size.isdigit() or b"transfer-encoding" in headers:
            await PlainTextResponse("Length Required", 411)(scope, receive, send)
            return
        if int(size) > self._largest:
            await PlainTextResponse("The file size is too large.", 413)(scope, receive, send)
            return
        if self._kept() + self._arriving + int(size) > MOST_KEPT:
            full = PlainTextResponse("The server keeps too many photos now: try again later.", 507)
            await full(scope, receive, send)
            return
        self._arriving += int(size)
        try:
            await self._app(scope, receive, send)
        finally:
            self._arriving -= int(size)


def _in_time(receive: Receive) -> Receive:
    """What receives a request, whose client counts as gone where the body takes too long."""
    deadline, whole = asyncio.get_running_loop().time() + _BODY_SECONDS, False

    async def receive_in_time() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            return {"type": "http.disconnect"}
        whole = not message.get("more_body", False)
        return message

    return receive_in_time
