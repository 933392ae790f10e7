"""Leases, by which one process alone works on a batch of an inbox, on whatever machine it runs.

    work/B/lease-0001    says which owner's process began batch B, and is written again and again
    work/B/lease-0002    that of who took it over, since the one before had run out

A process that was killed, or that hangs, no longer renews its lease, and another takes the batch
over. One that hung and goes on knows by its own clock that it has lost the batch or, where that
stood still too, by the other's lease when it renews its own. The machines' clocks, and a bucket's,
must agree to a quarter of the lease's seconds.
"""

import time
from threading import Event, Thread

from unmask.inbox.storage import Storage

WORK = "work"
_LEASE = "lease-"


class LeaseLostError(Exception):
    """Another process may work on the batch, since this one has not renewed its lease in time."""


class Lease:
    """A batch that this process holds while the context lasts, in which a thread renews the lease.

    Args:
        storage: the inbox.
        batch: its name.
        path: of the lease.
        owner: of the process.
        seconds: after which others take the batch over.
        begun: when the lease was written or before, by `time.monotonic`.
    """

    def __init__(
        self, storage: Storage, batch: str, path: str, owner: str, seconds: float, begun: float
    ) -> None:
        self.batch, self._storage, self._path = batch, storage, path
        self._owner, self._seconds, self._renewed = owner, seconds, begun
        self._ended, self._lost = Event(), False
        self._thread = Thread(target=self._renew, name=f"lease of {batch}", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def check(self) -> None:
        """To be called before each step that another process must not repeat.

        Raises:
            LeaseLostError: when others may have taken the batch over.
        """
        if self._is_out():
            raise LeaseLostError(
                f"batch {self.batch} is left to others, since this process has not renewed its "
                f"lease of {self._seconds:g} s for {time.monotonic() - self._renewed:.0f} s"
            ) from self._error

    def end(self) -> None:
        """Delete the batch, but for photos that a process that hung moved into it only now."""
        self._ended.set()
        self._thread.join()
        self.check()
        folder = f"{WORK}/{self.batch}"
        self._storage.delete_folder(folder, but=f"{folder}/photos")

    def _is_out(self) -> bool:
        return self._lost or time.monotonic() - self._renewed > self._seconds / 2

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / 8) and not self._is_out():
            begun = time.monotonic()
            try:
                files = self._storage.files(f"{WORK}/{self.batch}")
                self._lost = max(_leases(files, self.batch), default="") > self._path
                if not self._lost:
                    self._storage.write(self._path, self._owner.encode())
                    self._renewed, self._error = begun, None
            except Exception as error:  # told by `check`, unless it passes; clients have their own
                self._error = error


class Leases:
    """The leases of an inbox.

    Args:
        storage: the inbox.
        owner: of this process: no other process that is alive has the same.
        seconds: after which a lease is out that was not renewed.
    """

    def __init__(self, storage: Storage, owner: str, seconds: float) -> None:
        self._storage, self._owner, self._seconds = storage, owner, seconds

    def left(self) -> list[str]:
        """The batches that nobody works on, oldest first."""
        found = self._storage.files(WORK)
        batches = sorted({path.split("/")[1] for path in found})
        return [batch for batch in batches if self._is_left(_leases(found, batch))]

    def take(self, batch: str) -> Lease | None:
        """The lease of a batch that is new, or that nobody works on; None where another has it."""
        leases = _leases(self._storage.files(f"{WORK}/{batch}"), batch)
        if not self._is_left(leases):
            return None
        number = int(max(leases).rpartition("-")[2]) + 1 if leases else 1
        path, begun = f"{WORK}/{batch}/{_LEASE}{number:04d}", time.monotonic()
        if not self._storage.create(path, self._owner.encode()):
            return None
        return Lease(self._storage, batch, path, self._owner, self._seconds, begun)

    def holds(self, batch: str) -> bool:
        """Whether any process works on a batch."""
        return self._is_held(_leases(self._storage.files(f"{WORK}/{batch}"), batch))

    def _is_held(self, leases: dict[str, float]) -> bool:
        return bool(leases) and time.time() - leases[max(leases)] <= self._seconds

    def _is_left(self, leases: dict[str, float]) -> bool:
        """Whether no process works on a batch: its last lease is out, or this owner's own."""
        try:
            held = self._is_held(leases)
            return not held or self._storage.read(max(leases)).decode() == self._owner
        except FileNotFoundError:  # its process has just ended the batch
            return False


def _leases(files: dict[str, float], batch: str) -> dict[str, float]:
    """Those of files that are a batch's leases, and when each changed; the last one counts."""
    prefix = f"{WORK}/{batch}/{_LEASE}"
    return {path: changed for path, changed in files.items() if path.startswith(prefix)}
