"""Serves the champion, and the next one as soon as there is another."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from anyio import CapacityLimiter

from unmask.errors import UnmaskError
from unmask.inference.pictures import encode_picture, from_base64
from unmask.masking.samples import sample
from unmask.networks import trained_on
from unmask.registry.champions import ChampionGoneError, champion
from unmask.registry.release import released_version
from unmask.registry.versions import NAME, networks_of
from unmask.serving.schemas import RefusedError
from unmask.serving.temporary import LockedFolder
from unmask.serving.workers import restore

_POLL_SECONDS = 2  # between two reads of the alias
_BACKOFF, _LONGEST_BACKOFF = 10, 300  # seconds until a version that failed is retried; doubled
_CHECK_SIDE, _CHECK_SECONDS = 128, 300  # pixels; until a version that hangs is given up


def version_to_serve() -> str:
    """Number of the champion, else of the released weights, which are registered if needed.

    Raises:
        ChampionGoneError: when there was a champion, which was deleted.
        UnmaskError: when the store cannot be used, or there is no project to register them in.
    """
    return champion() or released_version()


@cache
def _check_picture() -> str:
    """A masked synthetic face."""
    face = sample(0, 0, _CHECK_SIDE, masked=True)
    return base64.b64encode(encode_picture(face)).decode()


class Supervisor:
    """Knows the version that serves, and watches the alias `champion`.

    A new champion takes over once each worker has restored a face with it; until then, or if it
    fails, the previous version keeps serving.

    Args:
        workers: number of processes that restore.
        notify: is called with a sentence for the person who runs the server.

    Attributes:
        since: when the present version took over, UTC, ISO 8601; '' before the first.
    """

    def __init__(self, workers: int, notify: Callable[[str], None]) -> None:
        self._workers, self._notify = CapacityLimiter(workers), notify
        self._version, self._networks, self._trained_on = "", Path(), ""
        self._folders: list[LockedFolder] = []  # of the present version and the one before
        self._ready, self.since = asyncio.Event(), ""
        self._failed, self._failed_at, self._backoff, self._trouble = "", 0.0, 0, ""

    @property
    def ready(self) -> bool:
        """Whether a version serves."""
        return self._ready.is_set()

    def as_json(self) -> dict:
        """The answer of /version: name, version, its faces, since when, and what is wrong."""
        return {
            "name": NAME,
            "version": self._version or None,
            "trained_on": self._trained_on or None,
            "since": self.since or None,
            "trouble": self._trouble or None,
        }

    async def restore(self, picture: str, params: dict) -> dict:
        """Restore a picture, as `workers.restore` does, with the version that serves now."""
        await self._ready.wait()
        model = f"{NAME}/{self._version}"
        return await restore(self._networks, model, picture, params, self._workers)

    @asynccontextmanager
    async def running(self, on_end: Callable[[], None]) -> AsyncIterator[None]:
        """Serve the champion and watch its alias for as long as this is held.

        Args:
            on_end: is called when that ends, which it does by itself where the first version cannot
                serve.

        Raises:
            UnmaskError: on exit, when the first version cannot serve.
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
        """Serve until cancelled.

        Raises:
            UnmaskError: when the first version cannot serve.
        """
        try:
            await self._switch_to(await self._first_version())
            while True:
                await asyncio.sleep(_POLL_SECONDS)
                await self._follow_champion()
        finally:
            for folder in self._folders:
                folder.remove()

    async def _first_version(self) -> str:
        """The version to serve; where the champion is gone, once there is another."""
        while True:
            try:
                return await asyncio.to_thread(version_to_serve)
            except ChampionGoneError as error:
                self._report(str(error))
                await asyncio.sleep(_POLL_SECONDS)

    async def _follow_champion(self) -> None:
        """Switch where another version is champion."""
        try:
            present = await asyncio.to_thread(champion)
        except ChampionGoneError as error:  # the one that serves goes on
            self._report(str(error))
            return
        except Exception as error:  # of the store, which may recover
            self._report(f"the champion is not known: {error}")
            return
        if present in (None, self._version):
            self._trouble = ""
            return
        if present == self._failed and time.monotonic() - self._failed_at < self._backoff:
            return
        try:
            await self._switch_to(present)
        except (UnmaskError, OSError) as error:
            self._report(str(error))
            longer = min(2 * self._backoff, _LONGEST_BACKOFF)
            self._backoff = longer if present == self._failed else _BACKOFF
            self._failed, self._failed_at = present, time.monotonic()

    def _report(self, trouble: str) -> None:
        """Notify of trouble, once while it lasts."""
        if trouble != self._trouble:
            self._notify(trouble)
        self._trouble = trouble

    async def _switch_to(self, version: str) -> None:
        """Let a version take over once it has restored a face.

        Raises:
            UnmaskError: when it cannot be loaded or fails; the previous version goes on.
        """
        folder = LockedFolder("serve")
        try:
            uri = f"models:/{NAME}/{version}"
            networks, _ = await asyncio.to_thread(networks_of, uri, folder.path)
            checks = (
                self._check(version, networks) for _ in range(int(self._workers.total_tokens))
            )
            async with asyncio.timeout(_CHECK_SECONDS):
                await asyncio.gather(*checks)
        except TimeoutError as error:
            folder.remove()
            raise UnmaskError(
                f"version {version} did not restore a face within {_CHECK_SECONDS} seconds."
            ) from error
        except BaseException:
            folder.remove()
            raise
        self._version, self._networks = version, networks
        self._trained_on = trained_on(networks)
        self._folders.append(folder)
        for past in self._folders[:-2]:
            past.remove()
        del self._folders[:-2]
        self._failed, self._backoff, self._trouble = "", 0, ""
        self.since = datetime.now(UTC).isoformat(timespec="seconds")
        self._ready.set()
        self._notify(f"{NAME} version {version} serves, {self._trained_on}")

    async def _check(self, version: str, networks: Path) -> None:
        """Have a worker restore a face.

        Raises:
            UnmaskError: when its answer is not a picture of the same size, with its faces.
        """
        picture = await asyncio.to_thread(_check_picture)
        try:
            answer = await restore(networks, f"{NAME}/{version}", picture, {}, self._workers)
        except RefusedError as error:
            raise UnmaskError(f"version {version} fails its check: {error}") from error
        shape = from_base64(answer["image"], "its picture").pixels.shape
        if shape != (_CHECK_SIDE, _CHECK_SIDE, 3) or not answer["faces"]:
            raise UnmaskError(
                f"version {version} fails its check: its answer has the shape {shape} and "
                f"{len(answer['faces'])} faces."
            )
