"""Temporary folders that do not outlive their process for long, however it ends."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp


class OwnFolder:
    """A new folder, locked while its process lives; removes those of its kind that nobody holds.

    Attributes:
        path: where it is.
    """

    def __init__(self, kind: str) -> None:
        for left in Path(gettempdir()).glob(f"unmask-{kind}-*"):
            with suppress(OSError):  # it is held, another user's, or gone by now
                _remove(left, os.open(left, os.O_RDONLY))
        self.path = Path(mkdtemp(prefix=f"unmask-{kind}-"))
        self._held = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._held, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder and what is in it."""
        _remove(self.path, self._held)


def _remove(folder: Path, held: int) -> None:
    """Remove a folder by its open descriptor, which is closed; OSError where another holds it."""
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(held)
