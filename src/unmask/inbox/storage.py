"""Where an inbox lies: a folder, or a bucket by its URL.

Paths in a storage are relative to it, with slashes.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from unmask.project import project_root, write_whole


class Storage(Protocol):
    """What an inbox asks of its storage; `write` and `move` replace what is there.

    Attributes:
        lock: file to lock, so that one process at a time works in the storage.
    """

    lock: Path

    def files(self, under: str) -> dict[str, float]:
        """The files anywhere below a folder, and when each last changed, in seconds since 1970."""

    def read(self, path: str) -> bytes:
        """A file's content."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file so that it appears complete or not at all."""

    def move(self, path: str, to: str) -> None:
        """Give a file another path; a process killed meanwhile leaves it under either or both."""

    def drop(self, folder: str) -> None:
        """Delete a folder and what is left in it."""


class Folder:
    """A storage on a local disk.

    Args:
        root: of one file system, so that a file is moved by renaming it.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.lock = root, root / ".lock"

    def files(self, under: str) -> dict[str, float]:
        return {
            path.relative_to(self.root).as_posix(): found.st_ctime  # a copied mtime can be any
            for path, found in _regular(self.root / under)
        }

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)

    def move(self, path: str, to: str) -> None:
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / path, self.root / to)

    def drop(self, folder: str) -> None:
        shutil.rmtree(self.root / folder)


class Bucket:
    """A storage behind a URL such as s3://bucket/folder, whose objects appear whole.

    Credentials, region and AWS_ENDPOINT_URL come from the environment or the files of AWS's tools.
    Objects are moved by copying and deleting, so one that is written between is lost: a name in
    new/ must not be used again before its photo is taken. The lock holds on this machine alone.
    """

    def __init__(self, url: str) -> None:
        import fsspec
        from fsspec.implementations.dirfs import DirFileSystem

        bucket, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        self._files = DirFileSystem(root.rstrip("/"), bucket, skip_instance_cache=True)
        name = sha256(url.encode()).hexdigest()[:16]
        self.lock = project_root() / ".unmask" / f"inbox-{name}.lock"

    def files(self, under: str) -> dict[str, float]:
        found = self._files.find(under)
        return {path: 0.0 for path in found if not path.endswith("/")}  # a console's empty folder

    def read(self, path: str) -> bytes:
        return self._files.cat_file(path)

    def write(self, path: str, content: bytes) -> None:
        self._files.pipe_file(path, content)

    def move(self, path: str, to: str) -> None:
        self._files.cp_file(path, to)
        self._files.rm_file(path)

    def drop(self, folder: str) -> None:
        for path in self.files(folder):
            self._files.rm_file(path)


def storage_of(url: str) -> Storage:
    """The storage that a URL names, or a folder relative to the project's root."""
    return Bucket(url) if "://" in url else Folder(project_root() / url)


def _regular(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Files below a folder that can be read like a photo, no pipes; links are followed."""
    for folder, _, names in os.walk(top, onerror=_unless_missing):
        for name in names:
            with suppress(FileNotFoundError):  # taken away since it was listed, or a dead link
                path = Path(folder, name)
                if stat.S_ISREG((found := path.stat()).st_mode):
                    yield path, found


def _unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
