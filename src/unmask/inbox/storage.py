"""Storage of an inbox: a folder, or a bucket by its URL.

Paths in a storage are relative to its root, with slashes.
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
    """The file operations that an inbox needs; `write` and `move` replace existing files.

    Attributes:
        lock: local file to lock, so that one process at a time works in the storage.
    """

    lock: Path

    def files(self, under: str) -> dict[str, float]:
        """The files anywhere below a folder, and when each last changed, in seconds since 1970."""

    def read(self, path: str) -> bytes:
        """The content of a file."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file so that it appears complete or not at all."""

    def move(self, path: str, to: str) -> None:
        """Give a file another path; a process killed meanwhile leaves it under either or both."""

    def delete_folder(self, folder: str) -> None:
        """Delete a folder and all files in it."""


class Folder(Storage):
    """A storage on a local disk.

    Args:
        root: must lie on one file system, so that a file is moved by renaming it.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.lock = root, root / ".lock"

    def files(self, under: str) -> dict[str, float]:
        """As `Storage.files`, by inode change times, since a copy keeps its modification time."""
        return {
            path.relative_to(self.root).as_posix(): status.st_ctime
            for path, status in _regular_files(self.root / under)
        }

    def read(self, path: str) -> bytes:
        """Read the file."""
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """Write the file beside its path, then rename it."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, content)

    def move(self, path: str, to: str) -> None:
        """Rename the file, in one step."""
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / path, self.root / to)

    def delete_folder(self, folder: str) -> None:
        """Remove the folder's tree."""
        shutil.rmtree(self.root / folder)


class Bucket(Storage):
    """A storage behind a URL such as s3://bucket/folder.

    Credentials, region and AWS_ENDPOINT_URL come from the environment or the files of AWS's tools.
    Objects are moved by copying and deleting, so that one written in between is lost: do not use a
    name in new/ again while its photo is there. The lock only holds on this machine.

    Args:
        url: of the inbox, as fsspec takes it.
    """

    def __init__(self, url: str) -> None:
        import fsspec
        from fsspec.implementations.dirfs import DirFileSystem

        bucket, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        self._files = DirFileSystem(root.rstrip("/"), bucket, skip_instance_cache=True)
        name = sha256(url.encode()).hexdigest()[:16]
        self.lock = project_root() / ".unmask" / f"inbox-{name}.lock"

    def files(self, under: str) -> dict[str, float]:
        """As `Storage.files`, all changed at 0.0, since an object never appears half-written."""
        found = self._files.find(under)
        # a key that ends in a slash is the mark of an empty folder, as S3 consoles make it
        return {path: 0.0 for path in found if not path.endswith("/")}

    def read(self, path: str) -> bytes:
        """Get the object."""
        return self._files.cat_file(path)

    def write(self, path: str, content: bytes) -> None:
        """Put the object, in one step."""
        self._files.pipe_file(path, content)

    def move(self, path: str, to: str) -> None:
        """Copy the object, then delete it."""
        self._files.cp_file(path, to)
        self._files.rm_file(path)

    def delete_folder(self, folder: str) -> None:
        """Delete the objects below the folder, one by one."""
        for path in self.files(folder):
            self._files.rm_file(path)


def storage_of(url: str) -> Storage:
    """The storage for a URL, or for a folder by its path relative to the project's root."""
    return Bucket(url) if "://" in url else Folder(project_root() / url)


def _regular_files(top: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Regular files anywhere below a folder, and links to such files."""
    for folder, _, names in os.walk(top, onerror=_raise_unless_missing):
        for name in names:
            with suppress(FileNotFoundError):  # moved since it was listed, or a dead link
                path = Path(folder, name)
                if stat.S_ISREG((status := path.stat()).st_mode):
                    yield path, status


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
