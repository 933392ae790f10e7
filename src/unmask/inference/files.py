"""Restoring picture files into a folder: pictures, masks and JSON answers."""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from unmask.errors import UnmaskError, is_of_storage, readable
from unmask.inference.answers import (
    ANSWER,
    PICTURE_ALONE,
    Outputs,
    document_bytes,
    document_of,
    encoded,
)
from unmask.inference.image_file import LARGEST_PICTURE, read_image
from unmask.inference.inputs import Input, Inputs, is_input
from unmask.inference.results import DEFAULT_OPTIONS, PictureError, Restoration, RestoreOptions
from unmask.parallel import ordered_map
from unmask.project import is_url, write_whole

_LONGEST_NAME = 255  # bytes, that file systems take


@dataclass(frozen=True)
class FileAnswer:
    """What became of one input.

    Attributes:
        source: the input's file.
        faces: what was found, as JSON.
        error: a sentence that names it, where it could not be restored.
        warnings: what of it is not kept, in a few words each.
        picture: the restored picture's file, where there is one.
        existing: whether it was restored before, and left.
        defect: the traceback of an error that is the code's rather than the picture's.
        sha256: of the input's bytes, where they could be read and restored.
        seconds: that it took, with reading and writing.
        model: that restored it, with its version.
    """

    source: Path
    faces: list[dict]
    error: str = ""
    warnings: tuple[str, ...] = ()
    picture: Path | None = None
    existing: bool = False
    defect: str = ""
    sha256: str = ""
    seconds: float = 0.0
    model: str = ""

    @property
    def sentence(self) -> str:
        """The answer in a line; a name that is no valid UTF-8 is escaped."""
        if self.error:
            line = f"error: {self.error}"
        else:
            found = (
                f"{face['status']} ({face['reason']})" if face["reason"] else face["status"]
                for face in self.faces
            )
            line = f"{self.source}: {', '.join(found)}"
            line += "; restored before" if self.existing else ""
            line += "".join(f"; {warning}" for warning in self.warnings)
        return readable(line)


@dataclass(frozen=True)
class _Job:
    """How files are restored and written; the attributes are `restore_files`'s arguments."""

    out: Path
    restore: Callable[[np.ndarray, RestoreOptions], Restoration]
    model: str
    outputs: Outputs
    options: RestoreOptions
    skip_existing: bool
    most_pixels: int
    roots: tuple[Path, ...]

    def __call__(self, given: Input) -> FileAnswer:
        """Restore a file; whatever is wrong with it ends none but itself."""
        begun = time.monotonic()
        answer = self._answer(given)
        return replace(answer, seconds=time.monotonic() - begun, model=answer.model or self.model)

    def _answer(self, given: Input) -> FileAnswer:
        if given.refused:
            return FileAnswer(given.file, [], given.refused)
        try:
            return self._restore(given)
        except PictureError as error:
            return FileAnswer(given.file, [], str(error))
        except (OSError, UnmaskError):  # of where it is written, e.g. a full disk; of the networks
            raise
        except Exception as error:
            if is_of_storage(error):
                raise
            reason = f"{given.file}: a defect of the code, {type(error).__name__}: {error}"
            return FileAnswer(given.file, [], reason, defect=traceback.format_exc())

    def _restore(self, given: Input) -> FileAnswer:
        raw, stem = _read(given.file), self.out / given.stem
        key = sha256(raw).hexdigest()
        if self.skip_existing and (known := self._existing(stem, key)) is not None:
            faces, model, picture = known
            return FileAnswer(
                given.file, faces, picture=picture, existing=True, sha256=key, model=model
            )
        image = read_image(raw, str(given.file), self.most_pixels)
        suffix = image.suffix(self.outputs.writing)
        endings = self.outputs.endings(suffix, self.options.samples) | {"answer": ANSWER}
        paths = {what: stem.with_name(f"{stem.name}{end}") for what, end in endings.items()}
        self._check(paths.values(), given.file)
        try:
            restored = self.restore(image.pixels, self.options)
        except PictureError as error:
            raise PictureError(f"{given.file}: {error}.") from error
        self.make(stem.parent)
        for what, content in encoded(image, restored, self.model, self.outputs):
            write_whole(paths[what], content)
        document = document_of(image, restored, self.model, self.options) | {
            "input": {"name": given.file.name, "sha256": key},
            "files": {what: path.name for what, path in paths.items() if what != "answer"},
        }
        write_whole(paths["answer"], document_bytes(document))
        faces = document["faces"]
        return FileAnswer(given.file, faces, "", image.warnings, paths["picture"], sha256=key)

    @staticmethod
    def make(folder: Path) -> None:
        if is_url(folder):  # a bucket needs no folders, and is not to be made for a misspelt name
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"the folder {folder} could not be made: {error.strerror}.") from error

    def _check(self, paths: Iterable[Path], file: Path) -> None:
        """Raises PictureError where an answer's file cannot have its name."""
        for path in paths:
            if len(os.fsencode(path.name)) > _LONGEST_NAME:
                raise PictureError(f"{file}: its name is too long for its answer's: shorten it.")
            if is_input(path, self.roots):
                raise PictureError(
                    f"{file}: its answer {path} would be written over an input: choose another "
                    "--out folder, or rename the input."
                )

    def _existing(self, stem: Path, key: str) -> tuple[list[dict], str, Path] | None:
        """Faces, model and picture of the answer that an earlier run wrote for the same bytes.

        None where there is none, or not all files that are asked for.
        """
        try:
            document = json.loads(stem.with_name(f"{stem.name}{ANSWER}").read_bytes())
            if document["input"]["sha256"] != key:
                return None
            files = document["files"]
            asked = self.outputs.endings("", self.options.samples)
            whole = set(asked) <= set(files) and all(
                stem.with_name(name).is_file() for name in files.values()
            )
            picture = stem.with_name(files["picture"])
            return (document["faces"], document["model"], picture) if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _read(file: Path) -> bytes:
    """Raises PictureError naming a file that cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise PictureError(f"{file}: {error.strerror or error}.") from error


def restore_files(
    inputs: Inputs,
    out: Path,
    restore: Callable[[np.ndarray, RestoreOptions], Restoration],
    model: str,
    *,
    outputs: Outputs = PICTURE_ALONE,
    options: RestoreOptions = DEFAULT_OPTIONS,
    skip_existing: bool = False,
    most_pixels: int = LARGEST_PICTURE,
    workers: int = 1,
    cluster: str | None = None,
) -> Iterator[FileAnswer]:
    """Restore picture files; what is wrong with one is reported and the rest goes on.

    Writes OUT/<stem>.restored.<ending> and OUT/<stem>.restored.json; with `save_masks`,
    OUT/<stem>.mask.png; with `compare`, OUT/<stem>.compare.png. Where samples are drawn,
    OUT/<stem>.sample-1.<ending> and so on, and OUT/<stem>.uncertainty.png, four times their
    standard deviation. A picture in which nothing is restored is written as it was.

    Args:
        inputs: the picture files, of which a folder is listed when its turn comes.
        out: the folder that is written into; it is made where it is missing.
        restore: from a picture and what to assume to its restoration; picklable where there is more
            than one worker.
        model: the model's name and version, for JSON and metadata.
        outputs: what is written.
        options: what to assume, and how many samples to draw.
        skip_existing: leave an input whose answer is there for the same bytes.
        most_pixels: of a picture.
        workers: number of processes that share the files; the answers come in their order.
        cluster: that restores in their place, see params.yaml's `cluster`; its workers share the
            storage of inputs, answers and networks.

    Raises:
        OSError: naming the file that could not be written.
        UnmaskError: when the cluster cannot restore.
    """
    job = _Job(out, restore, model, outputs, options, skip_existing, most_pixels, inputs.roots)
    job.make(out)
    networks = getattr(restore, "networks", None)  # of a `StoredRestorer`
    used = [out, *inputs.roots, *([networks] if networks else [])]
    reads = [path for path in used if not is_url(path)]
    yield from ordered_map(job, inputs, workers, chunk=1, cluster=cluster, reads=reads)
