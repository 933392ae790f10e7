"""An inbox whose photos are restored once each, wherever a process working on it is killed.

    new/       photos are put here, in folders or not
    work/B/    the photos of batch B and their monitoring rows, while they are restored
    restored/  NAME-KEY.png, .mask.png and, last of all, .json, which says that the answer is whole
    done/      NAME-KEY.jpg, the photos whose answers are in restored/
    failed/    NAME-KEY.jpg, the photos that cannot be restored, and why in NAME-KEY.jpg.txt

KEY is the start of the SHA-256 of the photo's bytes: the same bytes are restored once under
whatever names they come, as long as the answer is in restored/, and other bytes under an old name
are another photo. A photo is always in new/, work/, done/ or failed/. It is taken into a batch by
moving it, so that what is written to its old path later is a new photo. What a killed process left
in work/ is finished by the next one. One process works at a time (`Storage.lock`).
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np

from unmask.inbox.storage import Storage
from unmask.inference.files import ENDINGS, contents_of
from unmask.inference.pictures import decode_picture
from unmask.inference.results import PictureError, Restoration

NEW, WORK, RESTORED, DONE, FAILED = "new", "work", "restored", "done", "failed"
_BEING_WRITTEN = (".partial", ".part", ".tmp", ".crdownload", ".filepart")
_KEY = 16  # hexadecimal digits
_LONGEST, _LONGEST_SUFFIX = 160, 16  # bytes of a name that stay; file systems take 255 in all

Row = dict[str, float | str]


@dataclass(frozen=True)
class Restorer:
    """What photos are restored with.

    Attributes:
        restore: from a photo (H, W, 3) uint8 RGB to its restoration.
        model: the model's name and version, for JSON and metadata.
        summarise: the monitoring rows of a photo and its restoration.
        record: keeps the rows of a batch under its name; the same name replaces.
    """

    restore: Callable[[np.ndarray], Restoration]
    model: str
    summarise: Callable[[np.ndarray, Restoration], list[Row]]
    record: Callable[[list[Row], str], object]


@dataclass(frozen=True)
class Outcome:
    """What became of a photo.

    Attributes:
        photo: its path in new/.
        status: 'restored'; 'known', where its bytes were answered before; or 'failed'.
        faces: the status of each face, where it was restored now.
        reason: why it failed.
        defect: whether it failed by an error of the code and not of the photo.
    """

    photo: str
    status: str
    faces: tuple[str, ...] = ()
    reason: str = ""
    defect: bool = False


def waiting(storage: Storage, settle: float, now: float) -> list[str]:
    """The photos in new/ that nobody is writing, oldest first.

    Hidden files, and those with the ending of a download that is under way, are left until they
    are renamed.

    Args:
        settle: seconds for which a file must not have changed.
        now: seconds since 1970.
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


def unfinished(storage: Storage) -> list[str]:
    """The batches that a killed process left, oldest first."""
    return sorted({path.split("/")[1] for path in storage.files(WORK)})


def claim(storage: Storage, photos: Iterable[str], batch: str) -> None:
    """Take photos out of new/ into a batch; those that are gone are passed over."""
    for photo in photos:
        try:
            storage.move(f"{NEW}/{photo}", f"{WORK}/{batch}/photos/{photo}")
        except FileNotFoundError:
            continue


class Answers:
    """The answers of a storage, to which those of batches are added."""

    def __init__(self, storage: Storage, restorer: Restorer) -> None:
        self._storage, self._restorer = storage, restorer
        names = (PurePosixPath(path) for path in storage.files(RESTORED))
        self._known = {name.stem[-_KEY:] for name in names if name.suffix == ENDINGS["json"]}

    def finish(self, batch: str) -> list[Outcome]:
        """Restore what a batch holds, record its rows, and move its photos to done/ and failed/.

        Every step may be repeated, and none destroys what an earlier one needs.

        Returns:
            An outcome a photo that was in the batch still.
        """
        storage, photos, rows = self._storage, f"{WORK}/{batch}/photos", f"{WORK}/{batch}/rows"
        ended = {path: self._answer(path, batch, rows) for path in sorted(storage.files(photos))}
        kept = [json.loads(storage.read(path)) for path in sorted(storage.files(rows))]
        if ended and any(kept):
            self._restorer.record([row for of_photo in kept for row in of_photo], batch)
        for path, (_, target) in ended.items():
            storage.move(path, target)
        storage.drop(f"{WORK}/{batch}")
        return [outcome for outcome, _ in ended.values()]

    def _answer(self, path: str, batch: str, rows: str) -> tuple[Outcome, str]:
        """Write a photo's answer, or why there is none; also says where the photo goes."""
        photo = path.removeprefix(f"{WORK}/{batch}/photos/")
        try:
            raw = self._storage.read(path)
        except PermissionError as error:
            return self._set_aside(photo, batch, f"it cannot be read: {error.strerror}")
        key = sha256(raw).hexdigest()[:_KEY]
        name, suffix = _named(photo, key)
        if key in self._known:
            return Outcome(photo, "known"), f"{DONE}/{name}{suffix}"
        try:
            picture = decode_picture(raw, photo)
            restored = self._restorer.restore(picture)
            summary = self._restorer.summarise(picture, restored)
            contents = contents_of(picture, restored, self._restorer.model, save_masks=True)
        except PictureError as error:
            return self._set_aside(photo, key, str(error))
        except Exception as error:  # one photo must not hold up all others; the run fails by it
            reason = f"{photo}: a defect of the code, {type(error).__name__}: {error}"
            return self._set_aside(photo, key, reason, defect=True)
        self._storage.write(f"{rows}/{key}.json", json.dumps(summary).encode())
        for what, content in contents.items():
            self._storage.write(f"{RESTORED}/{name}{ENDINGS[what]}", content)
        self._known.add(key)
        faces = tuple(face.status for face in restored.faces)
        return Outcome(photo, "restored", faces), f"{DONE}/{name}{suffix}"

    def _set_aside(
        self, photo: str, key: str, reason: str, *, defect: bool = False
    ) -> tuple[Outcome, str]:
        target = f"{FAILED}/{''.join(_named(photo, key))}"
        reason = reason.encode(errors="backslashreplace").decode()  # a file's name may be no text
        self._storage.write(f"{target}.txt", f"{reason}\n".encode())
        return Outcome(photo, "failed", reason=reason, defect=defect), target


def _named(photo: str, key: str) -> tuple[str, str]:
    """A photo's path with its key in place of its suffix, and the suffix; long ones are cut."""
    path = PurePosixPath(photo)
    stem = os.fsencode(path.stem)[:_LONGEST].decode(errors="ignore")
    suffix = path.suffix if len(os.fsencode(path.suffix)) <= _LONGEST_SUFFIX else ""
    return str(path.with_name(f"{stem}-{key}")), suffix
