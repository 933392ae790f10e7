"""An application on a free port of this machine."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from team.services import until


@contextmanager
def on_loopback(app: ASGIApp, **settings) -> Iterator[int]:
    """Serve it with uvicorn's settings; yields the port."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, "the server starts", 60)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def answered(client: socket.socket, size: int) -> bytes:
    """The body of so many bytes that a client receives, in however many pieces."""
    received = b""
    while len(received.partition(b"\r\n\r\n")[2]) < size:
        received += client.recv(1000)
    return received.partition(b"\r\n\r\n")[2]
