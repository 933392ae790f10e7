"""The HTTP front end: MLflow's scoring protocol with limits, before the workers."""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect
from starlette.types import Message

from unmask import __version__
from unmask.inference.image_file import media_type_of
from unmask.parallel import CORES
from unmask.serving.metrics import Metrics
from unmask.serving.schemas import (
    RefusedError,
    RestoreRequest,
    check_params,
    form_schema,
    parse_form,
    parse_request,
    request_of,
)
from unmask.serving.supervisor import Supervisor

_ANSWERS: dict = {"image/*": {}, "application/json": {}}
_MOST_UNZIPPED = 1_000_000  # bytes
_RETRY_AFTER = "5"  # seconds, for the HTTP header


@dataclass(frozen=True)
class Limits:
    """The most that the front end accepts; each is above 0.

    Attributes:
        body_bytes: of a request.
        pictures: per request.
        seconds: that a request may take, with waiting.
        requests: that are being read, wait or are being answered at the same time.
        workers: pictures that are restored at the same time.
    """

    body_bytes: int = 32_000_000
    pictures: int = 16
    seconds: float = 60
    requests: int = 32
    workers: int = CORES


class RequestQueue:
    """A queue before the workers, which bounds the memory that many requests need.

    Args:
        supervisor: answers the requests.
        limits: on requests and on the queue.

    Attributes:
        metrics: of what it answers.
        loop: the event loop that answers; set by whoever runs it.
    """

    def __init__(self, supervisor: Supervisor, limits: Limits) -> None:
        self._supervisor, self._limits = supervisor, limits
        self.metrics = Metrics()
        self._admitted = 0
        self._restoring = asyncio.Semaphore(limits.workers)
        self._decoding = anyio.CapacityLimiter(1)  # a decoded picture may need 150 MB
        self.loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Count a request while it is in the queue.

        Raises:
            RefusedError: when the queue is full.
        """
        if self._admitted >= self._limits.requests:
            raise RefusedError(503, f"{self._admitted} requests wait already; try again later.")
        self._admitted += 1
        try:
            with self.metrics.waiting.track_inprogress():
                yield
        finally:
            self._admitted -= 1

    async def answer(self, read: Callable[[], AsyncIterator[bytes]], coding: str = "") -> dict:
        """Answer an HTTP request.

        Args:
            read: starts to read the request's body, in pieces.
            coding: of the body, gzip or none.

        Returns:
            `predictions`, an answer of `EncodedRestorer.restore` for each picture.

        Raises:
            RefusedError: when the request is not answered; says why.
        """
        with self.admission():
            async with self._deadline() as turn:
                pieces = read()
                body = await self._read_body(_unzipped(pieces) if coding == "gzip" else pieces)
                request = await self._parsed(lambda: parse_request(body, self._limits.pictures))
                return {"predictions": [r async for r in self._restored(request, turn)]}

    async def answer_file(self, request: Request) -> dict:
        """Answer a form with a file.

        Args:
            request: `picture` is the file, the other fields are params.

        Returns:
            The answer of `EncodedRestorer.restore`.

        Raises:
            RefusedError: when the request is not answered; says why.
        """
        with self.admission():
            async with self._deadline() as turn:
                picture, fields = await self._read_form(request)
                parsed = await self._parsed(lambda: parse_form(picture, fields))
                (row,) = [row async for row in self._restored(parsed, turn)]
                return row

    async def _read_form(self, request: Request) -> tuple[bytes, dict[str, str]]:
        """The file and the fields of a form of bounded size."""
        received = 0

        async def receive() -> Message:
            nonlocal received
            message = await request.receive()
            received += len(message.get("body", b""))
            if received > self._limits.body_bytes:
                most = self._limits.body_bytes
                raise RefusedError(413, f"the form has more than the {most} bytes that are taken.")
            return message

        try:
            async with Request(request.scope, receive).form(max_files=1, max_fields=20) as form:
                file = form.get("picture")
                if not isinstance(file, UploadFile):
                    raise RefusedError(400, "the form has no file 'picture'.")
                fields = {name: value for name, value in form.items() if isinstance(value, str)}
                return await file.read(), fields
        except (HTTPException, MultiPartException) as error:
            detail = error.detail if isinstance(error, HTTPException) else error.message
            raise RefusedError(400, f"the form cannot be read ({detail}).") from error

    def restore(self, picture: bytes, params: dict) -> dict:
        """Restore one picture, called from a thread of this process beside the event loop.

        Args:
            picture: bytes of an image file.
            params: of the registered model; a missing one takes its default.

        Returns:
            A row of the registered model's answer (registry/pyfunc.py).

        Raises:
            RefusedError: with a sentence for the user.
        """
        if self.loop is None:
            raise RuntimeError("the event loop that answers does not run")

        def request() -> RestoreRequest:
            return request_of(picture, check_params(params))

        async def answer() -> dict:
            with self.admission():
                async with self._deadline() as turn:
                    parsed = await self._parsed(request)
                    (row,) = [row async for row in self._restored(parsed, turn)]
                    return row

        return asyncio.run_coroutine_threadsafe(answer(), self.loop).result()

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[asyncio.Event]:
        """Limits the time that is taken within; the event is to be set when restoring begins."""
        turn, seconds = asyncio.Event(), f"{self._limits.seconds:g} seconds"
        try:
            async with asyncio.timeout(self._limits.seconds):
                yield turn
        except TimeoutError as error:
            if turn.is_set():
                raise RefusedError(
                    413,
                    f"this takes more than {seconds}: send fewer or smaller pictures, or ask for "
                    "fewer samples.",
                ) from error
            raise RefusedError(504, f"no answer within {seconds}; try again later.") from error

    async def _read_body(self, pieces: AsyncIterator[bytes]) -> bytes:
        """The whole body; one that is too long is read to its end too, else no answer arrives."""
        body, size = bytearray(), 0
        async for piece in pieces:
            size += len(piece)
            if size <= self._limits.body_bytes:
                body += piece
            else:
                body.clear()
        if size > (most := self._limits.body_bytes):
            raise RefusedError(
                413, f"the body has {size} bytes, more than the {most} that are taken."
            )
        return bytes(body)

    async def _parsed(self, make_request: Callable[[], RestoreRequest]) -> RestoreRequest:
        return await anyio.to_thread.run_sync(make_request, limiter=self._decoding)

    async def _restored(self, request: RestoreRequest, turn: asyncio.Event) -> AsyncIterator[dict]:
        """Each picture's answer, one after the other as their turns come."""
        for picture in request.pictures:
            async with self._restoring:
                if self._supervisor.ready:
                    turn.set()
                row = await self._supervisor.restore(picture, request.params)
            self.metrics.count_faces(row["faces"])
            yield row


async def _unzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a gzip body, decompressed by at most _MOST_UNZIPPED bytes at a time."""
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        async for piece in pieces:
            while piece:
                yield unzip.decompress(piece, _MOST_UNZIPPED)
                piece = unzip.unconsumed_tail
    except zlib.error as error:
        raise RefusedError(400, f"the body is not gzip ({error}).") from error
    if not unzip.eof:
        raise RefusedError(400, "the body is not whole gzip.")


def build_app(supervisor: Supervisor, queue: RequestQueue, lifespan: Callable) -> FastAPI:
    """The front end's HTTP application.

    Args:
        supervisor: for /health and /version.
        queue: answers POST /invocations.
        lifespan: FastAPI's, a context manager that is held while the application runs.
    """
    app = FastAPI(
        title="unmask", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=499)  # which nobody reads

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        status = error.http_status
        headers = {"Retry-After": _RETRY_AFTER} if status in (503, 504) else None
        return JSONResponse(
            {
                "error_code": "BAD_REQUEST" if status < 500 else "TEMPORARILY_UNAVAILABLE",
                "message": str(error),
            },
            status,
            headers,
        )

    @app.post("/invocations")
    async def invocations(request: Request) -> JSONResponse:
        """Restore pictures."""
        media = request.headers.get("content-type", "nothing").partition(";")[0].strip().lower()
        if media != "application/json":
            raise RefusedError(415, f"the content type is {media}: send application/json.")
        coding = request.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity", "gzip"):
            raise RefusedError(415, f"the content encoding is {coding}: send gzip or none.")
        return JSONResponse(await queue.answer(request.stream, coding))

    @app.get("/invocations", include_in_schema=False)
    async def not_posted() -> JSONResponse:
        sentence = "send pictures by POST."
        answer = {"error_code": "BAD_REQUEST", "message": sentence}
        return JSONResponse(answer, 405, {"Allow": "POST"})

    @app.post("/restore", openapi_extra=form_schema(), responses={200: {"content": _ANSWERS}})
    async def restore(request: Request) -> Response:
        """Restore a picture in a form; the answer is a picture, or JSON where that is accepted."""
        media = request.headers.get("content-type", "nothing").partition(";")[0].strip().lower()
        if media != "multipart/form-data":
            raise RefusedError(415, f"the content type is {media}: send multipart/form-data.")
        row = await queue.answer_file(request)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse(row)
        picture = base64.b64decode(row["image"])
        return Response(picture, media_type=media_type_of(picture))

    @app.get("/health/live")
    async def live() -> dict:
        """Whether the server answers at all; where it does not, it is to be started again."""
        return {"live": True}

    @app.get("/health")
    @app.get("/health/ready")
    async def ready() -> JSONResponse:
        """Whether a model serves; where none does, requests are to be sent elsewhere."""
        return JSONResponse({"ready": supervisor.ready}, 200 if supervisor.ready else 503)

    scraping = anyio.CapacityLimiter(1)  # the registry may take long to answer

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        text = await anyio.to_thread.run_sync(
            queue.metrics.text, supervisor.as_json(), limiter=scraping
        )
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    @app.get("/version")
    async def version() -> dict:
        """The version that serves, since when, and what keeps a newer one from serving, if any."""
        return supervisor.as_json()

    return app
