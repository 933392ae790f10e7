"""Storage of an inbox: a folder, or a bucket by its URL.

Paths in a storage are relative to its root, with slashes.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from unmask.errors import UnmaskError
from unmask.project import is_url, project_root, write_whole

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_CLAIMS = "claims"  # of a bucket's files, while they are taken
_CHANGED = ("LastModified", "mtime", "updated", "last_modified", "created")  # as file systems say


class Storage(Protocol):
    """The file operations that an inbox needs; `write` and `move` replace existing files."""

    def files(self, under: str) -> dict[str, float]:
        """The files anywhere below a folder, and when each last changed, in seconds since 1970."""

    def read(self, path: str) -> bytes:
        """The content of a file."""

    def write(self, path: str, content: bytes) -> None:
        """Write a file so that it appears complete or not at all."""

    def create(self, path: str, content: bytes) -> bool:
        """Write a file as `write` does unless it exists; whether this call is what wrote it.

        Of several processes that try at the same moment, one succeeds.
        """

    def take(self, path: str, to: str, is_held: Callable[[str], bool]) -> bool:
        """Move a file that other processes may take too; whether this one got it.

        Args:
            path: of the file.
            to: the path that it gets.
            is_held: whether a process still works that wanted to give it another path.
        """

    def move(self, path: str, to: str) -> None:
        """Give a file another path; a process killed meanwhile leaves it under either or both."""

    def delete_folder(self, folder: str, but: str = "") -> None:
        """Delete a folder and all files in it, but for those in one of its folders."""

    def check(self) -> None:
        """Raise UnmaskError where `create` cannot be relied on."""


class Folder(Storage):
    """A storage on a local disk.

    Args:
        root: must lie on one file system, so that a file is moved by renaming it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

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

    def create(self, path: str, content: bytes) -> bool:
        """Write the file under another name, then link it, which fails where there is one."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = file.with_name(f".{uuid4().hex}")
        whole.write_bytes(content)
        try:
            os.link(whole, file)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return self._create_unlinked(file, content)
        finally:
            whole.unlink()
        return True

    @staticmethod
    def _create_unlinked(file: Path, content: bytes) -> bool:
        """On file systems without links, where a kill may leave the file half-written."""
        try:
            with file.open("xb") as new:
                new.write(content)
        except FileExistsError:
            return False
        return True

    def take(self, path: str, to: str, is_held: Callable[[str], bool]) -> bool:  # noqa: ARG002
        """Rename the file, which one process can."""
        try:
            self.move(path, to)
        except FileNotFoundError:
            return False
        return True

    def move(self, path: str, to: str) -> None:
        """Rename the file, in one step."""
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.root / path, self.root / to)

    def delete_folder(self, folder: str, but: str = "") -> None:
        """Remove the files, then the folders that are empty."""
        for path, _ in _regular_files(self.root / folder):
            if not but or (self.root / but) not in path.parents:
                path.unlink(missing_ok=True)
        for top, _, _ in os.walk(self.root / folder, topdown=False):
            with suppress(OSError):  # it holds what stays
                os.rmdir(top)

    def check(self) -> None:
        """Every file system can."""


class Bucket(Storage):
    """A storage behind a URL such as s3://bucket/folder.

    Credentials, region and AWS_ENDPOINT_URL come from the environment or the files of AWS's tools.
    Objects are moved by copying and deleting, so that one written in between is lost: do not use a
    name in new/ again while its photo is there. Puts must be conditional (If-None-Match), as those
    of S3 are.

    Args:
        url: of the inbox, as fsspec takes it.
    """

    def __init__(self, url: str) -> None:
        import fsspec
        from fsspec.implementations.dirfs import DirFileSystem

        bucket, root = fsspec.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
        self._files = DirFileSystem(root.rstrip("/"), bucket, skip_instance_cache=True)

    def files(self, under: str) -> dict[str, float]:
        """As `Storage.files`, by the clock of the bucket's server."""
        found = self._files.find(under, detail=True)
        # a key that ends in a slash is the mark of an empty folder, as S3 consoles make it
        return {path: _changed(info) for path, info in found.items() if not path.endswith("/")}

    def read(self, path: str) -> bytes:
        """Get the object."""
        return self._files.cat_file(path)

    def write(self, path: str, content: bytes) -> None:
        """Put the object, in one step."""
        self._files.pipe_file(path, content)

    def create(self, path: str, content: bytes) -> bool:
        """Put the object on condition that there is none.

        A put is sent again when its answer is lost, and may then find what it wrote itself.
        """
        try:
            self._files.pipe_file(path, content, mode="create")
        except OSError as error:
            if not _is_refused(error):
                raise
            try:
                return self.read(path) == content
            except FileNotFoundError:
                return False
        return True

    def take(self, path: str, to: str, is_held: Callable[[str], bool]) -> bool:
        """Claim the object by an object of its own, then move it; a dead process' claim is passed.

        The claims of a path are numbered, so that a later one can be made by one process alone.
        """
        claims, number = self.claims_of(path), 1
        while not self.create(f"{claims}/{number:04d}", to.encode()):
            try:
                other = self.read(f"{claims}/{number:04d}").decode()
            except FileNotFoundError:  # its process has moved the file meanwhile
                return False
            if is_held(other):
                return False
            number += 1
        try:
            self.move(path, to)
        except FileNotFoundError:
            return False
        finally:
            for one in range(number, 0, -1):
                with suppress(FileNotFoundError):
                    self._files.rm_file(f"{claims}/{one:04d}")
        return True

    def move(self, path: str, to: str) -> None:
        """Copy the object, then delete it."""
        self._files.cp_file(path, to)
        self._files.rm_file(path)

    @staticmethod
    def claims_of(path: str) -> str:
        """The folder of an object's claims."""
        return f"{_CLAIMS}/{sha256(os.fsencode(path)).hexdigest()[:32]}"

    def delete_folder(self, folder: str, but: str = "") -> None:
        """Delete the objects below the folder, one by one."""
        for path in self.files(folder):
            if not but or not path.startswith(f"{but}/"):
                self._files.rm_file(path)

    def check(self) -> None:
        """Create an object twice, which a store that knows no conditional puts allows."""
        probe = f"{_CLAIMS}/probe-{uuid4().hex}"
        self.create(probe, b"one")
        twice = self.create(probe, b"two")
        self._files.rm_file(probe)
        if twice:
            raise UnmaskError(
                "the inbox's bucket knows no conditional puts (If-None-Match), by which workers "
                "share it: use a store that does, such as S3, or a folder."
            )


def _changed(info: dict[str, Any]) -> float:
    """When an object last changed, in seconds since 1970; 0.0 where nothing says so."""
    when = next((info[name] for name in _CHANGED if info.get(name) is not None), 0.0)
    if isinstance(when, str):
        when = datetime.fromisoformat(when)
    return when.timestamp() if isinstance(when, datetime) else float(when)


def _is_refused(error: OSError) -> bool:
    """Whether a conditional put met an object, or another such put at the same moment."""
    response = getattr(error.__cause__, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    conflicts = ("PreconditionFailed", "ConditionalRequestConflict")
    return isinstance(error, FileExistsError) or code in conflicts


def storage_of(url: str) -> Storage:
    """The storage for a URL, or for a folder by its path relative to the project's root."""
    return Bucket(url) if is_url(url) else Folder(project_root() / url)


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
