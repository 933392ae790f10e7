"""The HTTP front: MLflow's scoring protocol with limits, passed on to the champion's server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from unmask.serving.schemas import (
    RefusedError,
    RestoreRequest,
    check_params,
    check_picture,
    parse,
)
from unmask.serving.supervisor import Supervisor

_AT_ONCE = 1  # restorations: torch uses all cores for one (benchmarks/serve_load.py)
_TRY_AGAIN_AFTER = "5"  # seconds


@dataclass(frozen=True)
class Limits:
    """What the front takes.

    Attributes:
        body: bytes of a request.
        pictures: a request.
        seconds: that a request may take, waiting included.
        waiting: requests that are read, wait or are answered at the same time.
    """

    body: int = 32_000_000
    pictures: int = 16
    seconds: float = 60
    waiting: int = 32


class RequestQueue:
    """Where questions wait for the one server, so that many never need more than bounded memory.

    Args:
        supervisor: gives the answers.
    """

    def __init__(self, supervisor: Supervisor, limits: Limits) -> None:
        self._supervisor, self._limits = supervisor, limits
        self._inside = 0
        self._restoring = asyncio.Semaphore(_AT_ONCE)
        self._decoding = anyio.CapacityLimiter(1)  # a decoded picture may need 150 MB
        #: that answers; set once it runs
        self.loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """While this holds, a request counts as one that waits.

        Raises:
            RefusedError: when too many do.
        """
        if self._inside >= self._limits.waiting:
            raise RefusedError(503, f"{self._inside} requests wait already; try again later.")
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def answer(self, read: Callable[[], AsyncIterator[bytes]]) -> bytes:
        """The answer to a request's body.

        Args:
            read: gives the body in pieces.

        Raises:
            RefusedError: with a sentence, where there is no answer.
        """
        with self.admitted():
            async with self._in_time():
                body = await self._whole(read())
                return await self._ask(lambda: parse(body, self._limits.pictures))

    def ask(self, picture: bytes, params: dict) -> dict:
        """The answer to one picture file, for a thread of this process beside the event loop.

        Returns:
            A row of the registered model's answer (registry/pyfunc.py).

        Raises:
            RefusedError: with a sentence for the user.
        """

        def request() -> RestoreRequest:
            text = base64.b64encode(picture).decode()
            check_picture(text, "the picture")
            return RestoreRequest((text,), check_params(params))

        async def answer() -> bytes:
            with self.admitted():
                async with self._in_time():
                    return await self._ask(request)

        waiting = asyncio.run_coroutine_threadsafe(answer(), self.loop)
        return json.loads(waiting.result())["predictions"][0]

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.seconds):
                yield
        except TimeoutError as error:
            raise RefusedError(
                504, f"no answer within {self._limits.seconds:g} seconds; try again later."
            ) from error

    async def _whole(self, pieces: AsyncIterator[bytes]) -> bytes:
        """The body; one that is too long is read to its end, or its sender sees no answer."""
        body, size = bytearray(), 0
        async for piece in pieces:
            size += len(piece)
            if size <= self._limits.body:
                body += piece
            else:
                body.clear()
        if size > self._limits.body:
            raise RefusedError(
                413, f"the body has {size} bytes, more than the {self._limits.body} that are taken."
            )
        return bytes(body)

    async def _ask(self, request: Callable[[], RestoreRequest]) -> bytes:
        """The server's answer; it is waited for in its turn.

        Who gives up stops waiting, but keeps the turn until the server is done: it cannot be told.
        """
        asked = await anyio.to_thread.run_sync(request, limiter=self._decoding)
        await self._restoring.acquire()
        call = asyncio.create_task(self._supervisor.restore(asked.as_json()))
        call.add_done_callback(self._done)
        return await asyncio.shield(call)

    def _done(self, call: asyncio.Task) -> None:
        self._restoring.release()
        if not call.cancelled():
            call.exception()  # whoever waited has it


def build(supervisor: Supervisor, queue: RequestQueue, lifespan: Callable) -> FastAPI:
    """The front's routes.

    Args:
        lifespan: what runs as long as the front does.
    """
    app = FastAPI(title="unmask", lifespan=lifespan, docs_url=None, redoc_url=None)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        headers = {"Retry-After": _TRY_AGAIN_AFTER} if error.status in (503, 504) else None
        return JSONResponse(
            {
                "error_code": "BAD_REQUEST" if error.status < 500 else "TEMPORARILY_UNAVAILABLE",
                "message": str(error),
            },
            error.status,
            headers,
        )

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        """Restore pictures."""
        sort = request.headers.get("content-type", "nothing").partition(";")[0].strip().lower()
        if sort != "application/json":
            raise RefusedError(415, f"the content type is {sort}: send application/json.")
        return Response(await queue.answer(request.stream), media_type="application/json")

    @app.get("/health")
    async def health() -> JSONResponse:
        """Whether there is a model to ask."""
        return JSONResponse({"ready": supervisor.ready}, 200 if supervisor.ready else 503)

    @app.get("/version")
    async def version() -> dict:
        """Which version answers, since when, and what is wrong with a later one, if anything."""
        return supervisor.as_json()

    return app
