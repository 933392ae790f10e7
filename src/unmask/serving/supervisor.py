"""Keeps the champion's server running, and changes it when the alias moves."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from unmask.registry.versions import CHAMPION, NAME, version_of
from unmask.serving.backend import Backend, BackendError, BrokenOffError
from unmask.serving.checking import check_answer, masked_face
from unmask.serving.schemas import RefusedError

_LOOKS_EVERY = 2  # seconds
_WAITS, _WAITS_AT_MOST = 10, 300  # seconds before a version that failed is tried again, doubled


def version_to_serve() -> str:
    """Number of the champion, else of the released weights, registered where nothing is.

    Raises:
        UnmaskError: when the store cannot be used, or there is no project to register them in.
    """
    if (champion := version_of(CHAMPION)) is not None:
        return str(champion)
    from unmask.registry.release import released_version  # imports what evaluates: seconds

    return released_version()


class Supervisor:
    """The server in use, and the task that watches it and the alias.

    A new champion takes over once its server has restored a picture; until then, and where it
    cannot, the one before keeps serving.

    Args:
        seconds: that an answer may take.
        say: told what a person who runs this should know.
    """

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._seconds, self._say = seconds, say
        self._backend: Backend | None = None
        self._ready, self.since = asyncio.Event(), ""
        self._failed, self._failed_at, self._waits, self._trouble = "", 0.0, 0, ""
        self._drains: set[asyncio.Task] = set()

    @property
    def ready(self) -> bool:
        """Whether there is a server to ask."""
        return self._ready.is_set()

    def as_json(self) -> dict:
        """What serves, since when (UTC), and what keeps the champion from serving, if anything."""
        return {
            "name": NAME,
            "version": self._backend.version if self.ready else None,
            "since": self.since if self.ready else None,
            "trouble": self._trouble or None,
        }

    async def restore(self, request: bytes) -> bytes:
        """The present server's answer; asked once more where the server ends meanwhile.

        Raises:
            RefusedError: with a sentence, where there is no answer.
        """
        for _ in range(2):
            await self._ready.wait()
            backend = self._backend
            try:
                with backend.asked():
                    return await backend.restore(request)
            except BrokenOffError:
                if backend is self._backend and not backend.running:
                    self._ready.clear()
        raise RefusedError(503, "the model's server ended twice over this; try another picture.")

    @asynccontextmanager
    async def running(self, ended: Callable[[], None]) -> AsyncIterator[None]:
        """While this holds, servers run and the alias is watched.

        Args:
            ended: called where that ends by itself, which it does where the first server does not
                start.

        Raises:
            UnmaskError: why it ended.
        """
        task = asyncio.create_task(self._run())
        task.add_done_callback(lambda _: ended())
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
            await self._change(await asyncio.to_thread(version_to_serve))
            while True:
                await self._wait()
                await self._look()
        finally:
            for drain in self._drains:
                drain.cancel()
            await asyncio.gather(*self._drains, return_exceptions=True)
            if self._backend is not None:
                await self._backend.stop()

    async def _wait(self) -> None:
        """Until the next look, or the server's end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._backend.ended(), _LOOKS_EVERY)
            self._ready.clear()

    async def _look(self) -> None:
        """Change the server where it ended or the alias names another version."""
        present = self._backend.version
        try:
            champion = await asyncio.to_thread(version_of, CHAMPION)
        except Exception as error:  # of the store, which may come back; what serves goes on
            self._tell(f"the champion is not known: {error}")
            wanted = present
        else:
            wanted = present if champion is None else str(champion)
            if wanted == present and self._backend.running:
                self._trouble = ""
        if wanted == self._failed and time.monotonic() - self._failed_at < self._waits:
            wanted = present
        if wanted == present and self._backend.running:
            return
        try:
            await self._change(wanted)
        except BackendError as error:
            self._tell(str(error))
            longer = min(2 * self._waits, _WAITS_AT_MOST)
            self._waits = longer if wanted == self._failed else _WAITS
            self._failed, self._failed_at = wanted, time.monotonic()
            await asyncio.sleep(_LOOKS_EVERY)

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._say(trouble)
        self._trouble = trouble

    async def _change(self, version: str) -> None:
        """Start a version's server and, once it has restored a picture, let it take over.

        Raises:
            BackendError: when it does not; whatever served goes on.
        """
        backend = Backend(NAME, version, self._seconds)
        try:
            await backend.start()
            request = (await asyncio.to_thread(masked_face)).as_json()
            check_answer(await backend.restore(request))
        except (RefusedError, BrokenOffError) as error:
            await backend.stop()
            raise BackendError(f"version {version} fails its check: {error}") from error
        except BaseException:
            await backend.stop()
            raise
        before, self._backend = self._backend, backend
        self._failed, self._waits, self._trouble = "", 0, ""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self._ready.set()
        self._say(f"{NAME} version {version} serves")
        if before is not None:
            drain = asyncio.create_task(self._drain(before))
            self._drains.add(drain)
            drain.add_done_callback(self._drains.discard)

    @staticmethod
    async def _drain(backend: Backend) -> None:
        """Let a server that was replaced answer what it was asked, then end it."""
        try:
            await backend.drained()
        finally:
            await backend.stop()
