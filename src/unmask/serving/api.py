"""The HTTP front end: MLflow's scoring protocol with limits, before the workers."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from unmask.parallel import CORES
from unmask.serving.schemas import (
    RefusedError,
    RestoreRequest,
    check_params,
    check_picture,
    parse_request,
)
from unmask.serving.supervisor import Supervisor

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
        loop: the event loop that answers; set by whoever runs it.
    """

    def __init__(self, supervisor: Supervisor, limits: Limits) -> None:
        self._supervisor, self._limits = supervisor, limits
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
            yield
        finally:
            self._admitted -= 1

    async def answer(self, read: Callable[[], AsyncIterator[bytes]]) -> dict:
        """Answer an HTTP request.

        Args:
            read: starts to read the request's body, in pieces.

        Returns:
            `predictions`, an answer of `EncodedRestorer.restore` for each picture.

        Raises:
            RefusedError: when the request is not answered; says why.
        """
        with self.admission():
            async with self._deadline() as turn:
                body = await self._read_body(read())
                request = await self._parsed(lambda: parse_request(body, self._limits.pictures))
                return {"predictions": [r async for r in self._restored(request, turn)]}

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
            text = base64.b64encode(picture).decode()
            check_picture(text, "the picture")
            return RestoreRequest((text,), check_params(params))

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
                yield await self._supervisor.restore(picture, request.params)


def build_app(supervisor: Supervisor, queue: RequestQueue, lifespan: Callable) -> FastAPI:
    """The front end's HTTP application.

    Args:
        supervisor: for /health and /version.
        queue: answers POST /invocations.
        lifespan: FastAPI's, a context manager that is held while the application runs.
    """
    app = FastAPI(title="unmask", lifespan=lifespan, docs_url=None, redoc_url=None)

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
        return JSONResponse(await queue.answer(request.stream))

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether a model serves."""
        return JSONResponse({"ready": supervisor.ready}, 200 if supervisor.ready else 503)

    @app.get("/version")
    async def version() -> dict:
        """The version that serves, since when, and what keeps a newer one from serving, if any."""
        return supervisor.as_json()

    return app
