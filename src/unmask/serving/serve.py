"""`unmask serve`: front end, supervisor and workers as one command."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI

from unmask.errors import UnmaskError
from unmask.inference.content_credentials import credentials_of_environment
from unmask.serving.access import Access, guarded
from unmask.serving.api import Limits, RequestQueue, build_app
from unmask.serving.slow_clients import BoundedHeaders
from unmask.serving.supervisor import Supervisor

_SHUTDOWN_TIMEOUT = 10  # seconds, to finish the requests that are being answered


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes a free one.

    Raises:
        UnmaskError: when the address cannot be listened on.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise UnmaskError(
            f"{host} port {port} cannot be served on ({error}): choose others with --host and "
            "--port."
        ) from error


def serve(
    host: str, port: int, limits: Limits, access: Access, notify: Callable[[str], None]
) -> None:
    """Serve the champion until SIGINT or SIGTERM; on return every process it started has ended.

    Args:
        host: name or address of this machine to listen on.
        port: 0 to 65535; 0 takes a free one.
        limits: on requests.
        access: who may ask.
        notify: is called with a sentence on the address, on every change of version, and on
            trouble.

    Raises:
        UnmaskError: when the address is taken, the first version does not start, or what is to sign
            cannot.
    """
    credentials_of_environment()
    supervisor = Supervisor(limits.workers, notify)
    queue = RequestQueue(supervisor, limits)
    errors: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        queue.loop = asyncio.get_running_loop()
        try:
            async with supervisor.running(on_end=stop):
                yield
        except Exception as error:
            errors.append(error)

    def stop() -> None:
        server.should_exit = True

    from unmask.serving.page import mount  # gradio takes seconds to import

    app = mount(build_app(supervisor, queue, lifespan), queue.restore)
    server = uvicorn.Server(
        uvicorn.Config(
            queue.metrics.counted(guarded(app, access)),
            http=BoundedHeaders,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
        )
    )
    with _listen(host, port) as listening:
        address, actual_port = listening.getsockname()[:2]
        notify(f"http://{address}:{actual_port} is open; a model starts")
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
    if errors:
        raise errors[0]
