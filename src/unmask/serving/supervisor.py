"""Keeps the champion's model server running, and replaces it when another becomes champion."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from unmask.registry.release import released_version
from unmask.registry.versions import CHAMPION, NAME, version_of
from unmask.serving.backend import Backend, BackendError, BackendLostError
from unmask.serving.checking import check_answer, smoke_request
from unmask.serving.schemas import RefusedError

_POLL_SECONDS = 2  # between two reads of the alias
_BACKOFF, _LONGEST_BACKOFF = 10, 300  # seconds until a version that failed is retried; doubled


def version_to_serve() -> str:
    """Number of the champion, else of the released weights, which are registered if needed.

    Raises:
        UnmaskError: when the store cannot be used, or there is no project to register them in.
    """
    if (champion := version_of(CHAMPION)) is not None:
        return str(champion)
    return released_version()


class Supervisor:
    """Owns the model server that serves, and watches both it and the alias `champion`.

    A new champion takes over once its server has passed a smoke test; until then, or if it fails,
    the previous version keeps serving.

    Args:
        seconds: that an answer may take, above 0.
        notify: is called with a sentence for the person who runs the server.

    Attributes:
        since: when the present version took over, UTC, ISO 8601; '' before the first.
    """

    def __init__(self, seconds: float, notify: Callable[[str], None]) -> None:
        self._seconds, self._notify = seconds, notify
        self._backend: Backend | None = None
        self._ready, self.since = asyncio.Event(), ""
        self._failed, self._failed_at, self._backoff, self._trouble = "", 0.0, 0, ""
        self._drains: set[asyncio.Task] = set()

    @property
    def _serving(self) -> Backend:
        if self._backend is None:
            raise RuntimeError("no model server was started")
        return self._backend

    @property
    def ready(self) -> bool:
        """Whether a model server answers."""
        return self._ready.is_set()

    def as_json(self) -> dict:
        """The answer of /version: name, version, since when, and trouble with the champion."""
        return {
            "name": NAME,
            "version": self._serving.version if self.ready else None,
            "since": self.since if self.ready else None,
            "trouble": self._trouble or None,
        }

    async def restore(self, request: bytes) -> bytes:
        """Have the present server answer a request; retried once if the server ends meanwhile.

        Args:
            request: the JSON of `RestoreRequest.as_json`.

        Returns:
            The answer's JSON.

        Raises:
            RefusedError: when the request is not answered; says why.
        """
        for _ in range(2):
            await self._ready.wait()
            backend = self._serving
            try:
                with backend.in_use():
                    return await backend.restore(request)
            except BackendLostError:
                if backend is self._backend and not backend.running:
                    self._ready.clear()
        raise RefusedError(503, "the model's server ended twice over this; try another picture.")

    @asynccontextmanager
    async def running(self, on_end: Callable[[], None]) -> AsyncIterator[None]:
        """Run model servers and watch the alias for as long as this is held.

        Args:
            on_end: is called when that ends, which it does by itself where the first server does
                not start.

        Raises:
            UnmaskError: on exit, when the first server did not start.
        """
        task = asyncio.create_task(self._run())
        task.add_done_callback(lambda _: on_end())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        """Serve until cancelled; then end every server.

        Raises:
            UnmaskError: when the first server does not start.
        """
        try:
            await self._switch_to(await asyncio.to_thread(version_to_serve))
            while True:
                await self._wait()
                await self._follow_champion()
        finally:
            for drain in self._drains:
                drain.cancel()
            await asyncio.gather(*self._drains, return_exceptions=True)
            if self._backend is not None:
                await self._backend.stop()

    async def _wait(self) -> None:
        """Wait for the next poll, or until the server ends."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._serving.ended(), _POLL_SECONDS)
            self._ready.clear()

    async def _follow_champion(self) -> None:
        """Start a server where the present one ended or another version is champion."""
        present = self._serving.version
        try:
            champion = await asyncio.to_thread(version_of, CHAMPION)
        except Exception as error:  # of the store, which may recover; the present server goes on
            self._report(f"the champion is not known: {error}")
            wanted = present
        else:
            wanted = present if champion is None else str(champion)
            if wanted == present and self._serving.running:
                self._trouble = ""
        if wanted == self._failed and time.monotonic() - self._failed_at < self._backoff:
            wanted = present
        if wanted == present and self._serving.running:
            return
        try:
            await self._switch_to(wanted)
        except BackendError as error:
            self._report(str(error))
            longer = min(2 * self._backoff, _LONGEST_BACKOFF)
            self._backoff = longer if wanted == self._failed else _BACKOFF
            self._failed, self._failed_at = wanted, time.monotonic()
            await asyncio.sleep(_POLL_SECONDS)

    def _report(self, trouble: str) -> None:
        """Notify of trouble, once while it lasts."""
        if trouble != self._trouble:
            self._notify(trouble)
        self._trouble = trouble

    async def _switch_to(self, version: str) -> None:
        """Start a version's server and, once it has passed its smoke test, let it take over.

        Raises:
            BackendError: when it does not start or fails; the previous server goes on.
        """
        backend = Backend(NAME, version, self._seconds)
        try:
            await backend.start()
            request = (await asyncio.to_thread(smoke_request)).as_json()
            check_answer(await backend.restore(request))
        except (RefusedError, BackendLostError) as error:
            await backend.stop()
            raise BackendError(f"version {version} fails its check: {error}") from error
        except BaseException:
            await backend.stop()
            raise
        before, self._backend = self._backend, backend
        self._failed, self._backoff, self._trouble = "", 0, ""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self._ready.set()
        self._notify(f"{NAME} version {version} serves")
        if before is not None:
            drain = asyncio.create_task(self._drain(before))
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)

    @staticmethod
    async def _drain(backend: Backend) -> None:
        """Let a server that was replaced answer its remaining requests, then stop it."""
        try:
            await backend.drained()
        finally:
            await backend.stop()
