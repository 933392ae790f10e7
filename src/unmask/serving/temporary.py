"""Temporary folders that are removed even after their process was killed."""

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp


class LockedFolder:
    """A new temporary folder, locked for as long as its process lives.

    Making one removes folders of the same kind whose processes ended without removing them.

    Args:
        kind: part of the folder's name.

    Attributes:
        path: of the folder.
    """

    def __init__(self, kind: str) -> None:
        for left in Path(gettempdir()).glob(f"unmask-{kind}-*"):
            with suppress(OSError):  # locked by another process, another user's, or removed by now
                _remove(left, os.open(left, os.O_RDONLY))
        self.path = Path(mkdtemp(prefix=f"unmask-{kind}-"))
        self._descriptor = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder and all that is in it."""
        _remove(self.path, self._descriptor)


def _remove(folder: Path, descriptor: int) -> None:
    """Remove a folder, whose open descriptor is closed.

    Raises:
        OSError: when another process has locked it.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
