"""An inbox whose photos are restored once each, wherever a process working on it is killed.

    new/       photos are put here, in folders or not
    work/B/    the photos of batch B and their monitoring rows, while they are restored, its leases,
               and in tries.json which photo is being restored
    claims/    in a bucket: which photo of new/ is being moved into which batch
    restored/  NAME-KEY.restored.jpg (or of another format), NAME-KEY.mask.png and, last of all,
               NAME-KEY.restored.json, whose presence completes the answer
    done/      NAME-KEY.jpg, the photos whose answers are in restored/
    failed/    NAME-KEY.jpg, the photos that cannot be restored, and why in NAME-KEY.jpg.txt

KEY is the start of the SHA-256 of the photo's bytes: the same bytes are restored once, whatever
their file names, as long as the answer is in restored/; other bytes under an old name are another
photo. A photo is always in new/, work/, done/ or failed/. It enters a batch by being moved, so that
a file written to its old path later is a new photo. Any number of processes work at the same time,
on machines of their own too, each on batches that it alone has (`unmask.inbox.leases`); what a
killed one left in work/ another finishes. A photo that was at work when its process was killed is
tried again in a process of its own, and set aside if that is killed alone. The same bytes under
two names are restored under both where another process has restored one since this one began.
"""

import json
import os
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from unmask.errors import readable
from unmask.inbox.leases import WORK, Lease, LeaseLostError, Leases
from unmask.inbox.storage import Storage
from unmask.inference.answers import ANSWER, Outputs, document_bytes, document_of, encoded
from unmask.inference.image_file import AS_GIVEN, LARGEST_PICTURE, Writing, read_image
from unmask.inference.results import DEFAULT_OPTIONS, PictureError, Restoration
from unmask.parallel import called_alone

_MOST_TRIES = 5  # of a photo, with each of which all of its worker was killed
NEW, RESTORED, DONE, FAILED = "new", "restored", "done", "failed"
_BEING_WRITTEN = (".partial", ".part", ".tmp", ".crdownload", ".filepart")
_KEY_DIGITS = 16  # hexadecimal
_RESTORED = ANSWER.removesuffix(".json")  # unmask 0.1 wrote NAME-KEY.json
_LONGEST_STEM, _LONGEST_SUFFIX = 160, 16  # bytes; file systems take names of 255
_KILLED = (
    "its process was killed twice while it was restored, most likely since it needs more memory "
    "than there is: restore it on a larger machine, or smaller."
)

Row = dict[str, float | str | list[float]]


@dataclass(frozen=True)
class Restorer:
    """The model that photos are restored with, and where its monitoring rows go.

    Attributes:
        restore: from a photo (H, W, 3) uint8 RGB to its restoration.
        model: the model's name and version, for JSON and metadata.
        summarise: from a photo and its restoration to monitoring rows, one per face; picklable, as
            is `restore`.
        record: stores the rows of a batch under the batch's name, replacing earlier ones.
        writing: how answers are written.
        most_pixels: of a photo.
        alone: calls a function in a process of its own; raises BrokenProcessPool where it dies.
    """

    restore: Callable[[np.ndarray], Restoration]
    model: str
    summarise: Callable[[np.ndarray, Restoration], list[Row]]
    record: Callable[[list[Row], str], object]
    writing: Writing = AS_GIVEN
    most_pixels: int = LARGEST_PICTURE
    alone: Callable[..., "_Answer"] = called_alone


@dataclass(frozen=True)
class _Answer:
    """What is written for a photo.

    Attributes:
        rows: for monitoring.
        files: the content of each, by the ending of its name; the document comes last.
        faces: the status of each.
    """

    rows: list[Row]
    files: dict[str, bytes]
    faces: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a photo.

    Attributes:
        photo: its path in new/.
        status: 'restored'; 'known', where the same bytes were restored before; or 'failed'.
        faces: the status of each face, where `status` is 'restored'.
        reason: a sentence, where `status` is 'failed'.
        defect: whether it failed by a defect of the code rather than of the photo.
    """

    photo: str
    status: str
    faces: tuple[str, ...] = ()
    reason: str = ""
    defect: bool = False


def waiting_photos(storage: Storage, settle: float, now: float) -> list[str]:
    """The photos in new/ that are completely written, oldest first.

    Hidden files, and those with the ending of an unfinished download, are ignored until they are
    renamed.

    Args:
        storage: the inbox.
        settle: seconds for which a file must not have changed, at least 0.
        now: the time, in seconds since 1970.

    Returns:
        Paths relative to new/.
    """
    found = {path.removeprefix(f"{NEW}/"): when for path, when in storage.files(NEW).items()}
    settled = (
        (when, photo)
        for photo, when in found.items()
        if now - when >= settle
        and not photo.lower().endswith(_BEING_WRITTEN)
        and not any(part.startswith(".") for part in photo.split("/"))
    )
    return [photo for _, photo in sorted(settled)]


def claim(storage: Storage, photos: Iterable[str], lease: Lease, leases: Leases) -> None:
    """Move photos from new/ into a batch, but for those that another process has taken.

    Where the first is gone, most likely another process is at work on all, and no other is tried.

    Args:
        storage: the inbox.
        photos: paths relative to new/.
        lease: of the batch.
        leases: of the inbox.
    """
    others = True
    for photo in photos:
        lease.check()
        to = f"{WORK}/{lease.batch}/photos/{photo}"
        if storage.take(f"{NEW}/{photo}", to, lambda path: leases.holds(path.split("/")[1])):
            others = False
        elif others:
            return


class BatchProcessor:
    """Restores the photos of batches, knowing which photos were restored before.

    Args:
        storage: the inbox.
        restorer: the model.
    """

    def __init__(self, storage: Storage, restorer: Restorer) -> None:
        self._storage, self._restorer = storage, restorer
        self._known = self._answered()

    def process(self, lease: Lease) -> list[Outcome]:
        """Restore a batch's photos, record its rows, and move its photos to done/ and failed/.

        It may be killed at any point and called again, with the batch's next lease: every step can
        be repeated, and none destroys what an earlier one needs.

        Returns:
            One outcome per photo that was still in the batch.

        Raises:
            LeaseLostError: when others may have taken the batch over, who will finish it.
        """
        try:
            return self._process(lease)
        except FileNotFoundError:
            lease.check()  # of a batch that another process has finished
            raise

    def _answered(self) -> set[str]:
        """The keys of the photos whose answers are whole."""
        answers = (path for path in self._storage.files(RESTORED) if path.endswith(".json"))
        stems = (path.removesuffix(".json").removesuffix(_RESTORED) for path in answers)
        return {stem[-_KEY_DIGITS:] for stem in stems}

    def _process(self, lease: Lease) -> list[Outcome]:
        storage, folder = self._storage, f"{WORK}/{lease.batch}"
        files = storage.files(folder)
        tries = _Tries(storage, f"{folder}/tries.json", files)
        if any(path.startswith(f"{folder}/rows/") for path in files):
            self._known |= self._answered()  # by another process, since this one began
        photos = (path for path in files if path.startswith(f"{folder}/photos/"))
        results = {
            path: self._restore(path, lease, tries) for path in sorted(photos, key=tries.order)
        }
        rows = sorted(storage.files(f"{folder}/rows"))
        summaries = [row for path in rows for row in json.loads(storage.read(path))]
        if results and summaries:
            lease.check()
            self._restorer.record(summaries, lease.batch)
        for path, (_, target) in results.items():
            lease.check()
            storage.move(path, target)
        lease.end()
        return [outcome for outcome, _ in results.values()]

    def _restore(self, path: str, lease: Lease, tries: "_Tries") -> tuple[Outcome, str]:
        """Write a photo's answer, or why there is none; returns the outcome and its next path."""
        folder = f"{WORK}/{lease.batch}"
        photo = path.removeprefix(f"{folder}/photos/")
        lease.check()
        try:
            raw = self._storage.read(path)
        except PermissionError as error:
            return self._set_aside(photo, lease.batch, f"it cannot be read: {error.strerror}")
        key = sha256(raw).hexdigest()[:_KEY_DIGITS]
        name, suffix = _keyed_name(photo, key)
        if key in self._known:
            return Outcome(photo, "known"), f"{DONE}/{name}{suffix}"
        if tries.of(path) >= _MOST_TRIES:
            return self._set_aside(photo, key, _KILLED)
        alone = tries.of(path) > 0
        with tries.attempt(path):
            return self._attempt(raw, photo, key, lease, alone=alone)

    def _attempt(
        self, raw: bytes, photo: str, key: str, lease: Lease, *, alone: bool
    ) -> tuple[Outcome, str]:
        restorer, (name, suffix) = self._restorer, _keyed_name(photo, key)
        asked = (restorer.restore, restorer.summarise, restorer.model, restorer.writing)
        call = restorer.alone if alone else _called
        try:
            answer = call(_answer, raw, photo, restorer.most_pixels, *asked)
        except PictureError as error:
            return self._set_aside(photo, key, str(error))
        except BrokenProcessPool:
            return self._set_aside(photo, key, _KILLED)
        except Exception as error:  # the rest of the batch goes on; the flow fails later
            reason = f"{photo}: a defect of the code, {type(error).__name__}: {error}"
            return self._set_aside(photo, key, reason, defect=True)
        rows = f"{WORK}/{lease.batch}/rows/{key}.json"
        lease.check()
        self._storage.write(rows, json.dumps(answer.rows).encode())
        document = answer.files.pop(ANSWER)
        for ending, content in answer.files.items():
            lease.check()
            self._storage.write(f"{RESTORED}/{name}{ending}", content)
        lease.check()
        created = self._storage.create(f"{RESTORED}/{name}{ANSWER}", document)
        self._known.add(key)
        if not created:
            self._storage.write(rows, b"[]")  # whoever restored it has recorded it
            return Outcome(photo, "known"), f"{DONE}/{name}{suffix}"
        return Outcome(photo, "restored", answer.faces), f"{DONE}/{name}{suffix}"

    def _set_aside(
        self, photo: str, key: str, reason: str, *, defect: bool = False
    ) -> tuple[Outcome, str]:
        target = f"{FAILED}/{''.join(_keyed_name(photo, key))}"
        reason = readable(reason)
        self._storage.write(f"{target}.txt", f"{reason}\n".encode())
        return Outcome(photo, "failed", reason=reason, defect=defect), target


def _answer(
    raw: bytes,
    photo: str,
    most_pixels: int,
    restore: Callable[[np.ndarray], Restoration],
    summarise: Callable[[np.ndarray, Restoration], list[Row]],
    model: str,
    writing: Writing,
) -> _Answer:
    """What is written for a photo's bytes; raises PictureError as `read_image` does."""
    image = read_image(raw, photo, most_pixels)
    restored = restore(image.pixels)
    rows = summarise(image.pixels, restored)
    outputs = Outputs(writing, save_masks=True)
    endings = outputs.endings(image.suffix(writing), 0)
    files = {endings[what]: content for what, content in encoded(image, restored, model, outputs)}
    files[ANSWER] = document_bytes(document_of(image, restored, model, DEFAULT_OPTIONS))
    return _Answer(rows, files, tuple(face.status for face in restored.faces))


def _called(work: Callable[..., _Answer], *arguments: Any) -> _Answer:
    return work(*arguments)


class _Tries:
    """How often workers were killed while they restored the photos of a batch.

    Args:
        storage: the inbox.
        file: that keeps it.
        files: of the batch.
    """

    def __init__(self, storage: Storage, file: str, files: Container[str]) -> None:
        self._storage, self._file = storage, file
        self._ended: dict[str, int] = json.loads(storage.read(file)) if file in files else {}

    def of(self, path: str) -> int:
        """How many attempts at a photo ended with its process."""
        return self._ended.get(path, 0)

    def order(self, path: str) -> tuple[int, str]:
        """By which photos are restored: what may kill the process comes last."""
        return self.of(path), path

    @contextmanager
    def attempt(self, path: str) -> Iterator[None]:
        """Note that a photo is being restored, until the next one is; an error is no kill."""
        self._note({**self._ended, path: self.of(path) + 1})
        before = self._ended.pop(path, 0)
        try:
            yield
        except LeaseLostError:  # the notes are another process' now
            raise
        except Exception:
            with suppress(Exception):  # the error itself is raised
                self._note({**self._ended, path: before})
            raise

    def _note(self, tries: dict[str, int]) -> None:
        self._storage.write(self._file, json.dumps(tries).encode())


def _keyed_name(photo: str, key: str) -> tuple[str, str]:
    """A photo's path with its key in place of its suffix, and the suffix; long names are cut."""
    path = PurePosixPath(photo)
    stem = os.fsencode(path.stem)[:_LONGEST_STEM].decode(errors="ignore")
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    return str(path.with_name(f"{stem}-{key}")), suffix
