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
killed one left in work/ another finishes. A photo at which processes were killed `ATTEMPTS` times
is set aside. The same bytes under two names are restored under both where two processes take them
at the same moment.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np

from unmask.errors import readable
from unmask.inbox.leases import WORK, Lease, Leases
from unmask.inbox.storage import Storage
from unmask.inference.answers import ANSWER, Outputs, document_bytes, document_of, encoded
from unmask.inference.image_file import AS_GIVEN, LARGEST_PICTURE, Writing, read_image
from unmask.inference.results import DEFAULT_OPTIONS, PictureError, Restoration

ATTEMPTS = 2  # at a photo, whose process was killed each time
NEW, RESTORED, DONE, FAILED = "new", "restored", "done", "failed"
_BEING_WRITTEN = (".partial", ".part", ".tmp", ".crdownload", ".filepart")
_KEY_DIGITS = 16  # hexadecimal
_RESTORED = ANSWER.removesuffix(".json")  # unmask 0.1 wrote NAME-KEY.json
_LONGEST_STEM, _LONGEST_SUFFIX = 160, 16  # bytes; file systems take names of 255
_KILLED = (
    f"its process was killed {ATTEMPTS} times while it was restored, most likely since it needs "
    "more memory than there is: restore it on a larger machine, or smaller."
)

Row = dict[str, float | str | list[float]]


@dataclass(frozen=True)
class Restorer:
    """The model that photos are restored with, and where its monitoring rows go.

    Attributes:
        restore: from a photo (H, W, 3) uint8 RGB to its restoration.
        model: the model's name and version, for JSON and metadata.
        summarise: from a photo and its restoration to monitoring rows, one per face.
        record: stores the rows of a batch under the batch's name, replacing earlier ones.
        writing: how answers are written.
        most_pixels: of a photo.
    """

    restore: Callable[[np.ndarray], Restoration]
    model: str
    summarise: Callable[[np.ndarray, Restoration], list[Row]]
    record: Callable[[list[Row], str], object]
    writing: Writing = AS_GIVEN
    most_pixels: int = LARGEST_PICTURE


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

    Where the first was taken, another process is at work on all of them, and none is tried.

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
        answers = (path for path in storage.files(RESTORED) if path.endswith(".json"))
        stems = (path.removesuffix(".json").removesuffix(_RESTORED) for path in answers)
        self._known = {stem[-_KEY_DIGITS:] for stem in stems}

    def process(self, lease: Lease) -> list[Outcome]:
        """Restore a batch's photos, record its rows, and move its photos to done/ and failed/.

        It may be killed at any point and called again, with the batch's next lease: every step can
        be repeated, and none destroys what an earlier one needs.

        Returns:
            One outcome per photo that was still in the batch.

        Raises:
            LeaseLostError: when others may have taken the batch over, who will finish it.
        """
        storage, folder = self._storage, f"{WORK}/{lease.batch}"
        tries = _Tries(storage, folder)
        results = {
            path: self._restore(path, lease, tries)
            for path in sorted(storage.files(f"{folder}/photos"), key=tries.order)
        }
        rows = sorted(storage.files(f"{folder}/rows"))
        summaries = [row for path in rows for row in json.loads(storage.read(path))]
        if results and summaries:
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
        if tries.of(path) >= ATTEMPTS:
            return self._set_aside(photo, key, _KILLED)
        tries.begin(path)
        try:
            image = read_image(raw, photo, self._restorer.most_pixels)
            restored = self._restorer.restore(image.pixels)
            summary = self._restorer.summarise(image.pixels, restored)
            outputs, model = Outputs(self._restorer.writing, save_masks=True), self._restorer.model
            contents = dict(encoded(image, restored, model, outputs))
            endings = outputs.endings(image.suffix(outputs.writing), 0)
            document = document_of(image, restored, model, DEFAULT_OPTIONS)
        except PictureError as error:
            return self._set_aside(photo, key, str(error))
        except Exception as error:  # the rest of the batch goes on; the flow fails later
            reason = f"{photo}: a defect of the code, {type(error).__name__}: {error}"
            return self._set_aside(photo, key, reason, defect=True)
        rows = f"{folder}/rows/{key}.json"
        lease.check()
        self._storage.write(rows, json.dumps(summary).encode())
        for what, content in contents.items():
            lease.check()
            self._storage.write(f"{RESTORED}/{name}{endings[what]}", content)
        lease.check()
        self._known.add(key)
        if not self._storage.create(f"{RESTORED}/{name}{ANSWER}", document_bytes(document)):
            self._storage.write(rows, b"[]")  # whoever restored it has recorded it
            return Outcome(photo, "known"), f"{DONE}/{name}{suffix}"
        faces = tuple(face.status for face in restored.faces)
        return Outcome(photo, "restored", faces), f"{DONE}/{name}{suffix}"

    def _set_aside(
        self, photo: str, key: str, reason: str, *, defect: bool = False
    ) -> tuple[Outcome, str]:
        target = f"{FAILED}/{''.join(_keyed_name(photo, key))}"
        reason = readable(reason)
        self._storage.write(f"{target}.txt", f"{reason}\n".encode())
        return Outcome(photo, "failed", reason=reason, defect=defect), target


class _Tries:
    """How often processes were killed while they restored the photos of a batch.

    Args:
        storage: the inbox.
        folder: of the batch.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self._file = storage, f"{folder}/tries.json"
        self._ended: dict[str, int] = {}
        if self._file in storage.files(folder):
            self._ended = json.loads(storage.read(self._file))

    def of(self, path: str) -> int:
        """How many attempts at a photo ended with its process."""
        return self._ended.get(path, 0)

    def order(self, path: str) -> tuple[int, str]:
        """By which photos are restored: what may kill the process comes last."""
        return self.of(path), path

    def begin(self, path: str) -> None:
        """Note that a photo is being restored, until the next one is."""
        noted = {**self._ended, path: self.of(path) + 1}
        self._ended.pop(path, None)
        self._storage.write(self._file, json.dumps(noted).encode())


def _keyed_name(photo: str, key: str) -> tuple[str, str]:
    """A photo's path with its key in place of its suffix, and the suffix; long names are cut."""
    path = PurePosixPath(photo)
    stem = os.fsencode(path.stem)[:_LONGEST_STEM].decode(errors="ignore")
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    return str(path.with_name(f"{stem}-{key}")), suffix
