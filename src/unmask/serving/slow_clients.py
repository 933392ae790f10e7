"""Connections whose clients send a request's headers too slowly are closed.

Uvicorn bounds only how long a connection may idle after an answer.
"""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0  # for the headers of a request, and for the first byte of a connection


class BoundedHeaders(H11Protocol):
    """HTTP/1.1 in which the headers of each request arrive within HEADER_SECONDS."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait on for headers, or for none while a request is being answered."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # neither headers nor a body are complete or begun
            self._wait()
        else:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
