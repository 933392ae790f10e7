"""`unmask serve`: front, supervisor and model server as one command."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from unmask.errors import UnmaskError
from unmask.serving.api import Limits, RequestQueue, build
from unmask.serving.supervisor import Supervisor

_ENDS_WITHIN = 10  # seconds, for the requests that are being answered


def _listen(host: str, port: int) -> socket.socket:
    """A socket to serve on; port 0 takes a free one.

    Raises:
        UnmaskError: when the address cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UnmaskError(
            f"{host} port {port} cannot be served on ({error}): choose others with --host and "
            "--port."
        ) from error


def serve(host: str, port: int, limits: Limits, say: Callable[[str], None]) -> None:
    """Serve the champion until SIGINT or SIGTERM; then every process it started has ended.

    Args:
        say: told the address, every change of version, and what goes wrong.

    Raises:
        UnmaskError: when the address is taken, or the first version does not start.
    """
    supervisor = Supervisor(limits.seconds, say)
    queue = RequestQueue(supervisor, limits)
    failed: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.loop = asyncio.get_running_loop()
        try:
            async with supervisor.running(ended=stop):
                yield
        except Exception as error:
            failed.append(error)

    def stop() -> None:
        server.should_exit = True

    from unmask.serving.page import mount  # gradio takes seconds to import

    app = mount(build(supervisor, queue, lifespan), queue.ask)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",  # its processes are started by this thread, with which they end
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_ENDS_WITHIN,
        )
    )
    with _listen(host, port) as listening:
        address, taken = listening.getsockname()[:2]
        say(f"http://{address}:{taken} is open; a model starts")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    if failed:
        raise failed[0]
