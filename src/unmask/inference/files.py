"""Restoring picture files into a folder: pictures, masks and JSON answers."""

import json
import os
import re
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from unmask.inference.image_file import (
    AS_GIVEN,
    FORMATS,
    LARGEST_PICTURE,
    ImageFile,
    Writing,
    encode_array,
    read_image,
)
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE, Metadata
from unmask.inference.results import DEFAULT_OPTIONS, PictureError, Restoration, RestoreOptions
from unmask.parallel import ordered_map
from unmask.project import write_whole

SCHEMA_VERSION = 1
ANSWER = ".restored.json"  # what the name of a file's answer ends with, which completes it
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif"),
    *(".bmp", ".tif", ".tiff", ".gif", ".jp2"),
)
_OWN = re.compile(r"(.+)\.(restored|mask|compare|uncertainty|sample-\d+)\.\w+")
_MARKS = (b"unmask, model ", b'AISystemUsed="unmask"')  # in the files of answers
_LARGEST_COMPARED = 12_000_000  # pixels, of each of the two
_LONGEST_NAME = 255  # bytes, that file systems take


class Input(NamedTuple):
    """A picture file, and the folder below the one written into that its answer goes to."""

    file: Path
    folder: Path = Path()

    @property
    def stem(self) -> Path:
        """The path of its answer's files without what tells them apart."""
        return self.folder / self.file.stem


class LeftOut(NamedTuple):
    """What a folder holds and is not restored, and why."""

    path: Path
    reason: str


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
    """

    source: Path
    faces: list[dict]
    error: str = ""
    warnings: tuple[str, ...] = ()
    picture: Path | None = None
    existing: bool = False
    defect: str = ""

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
        return line.encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class Outputs:
    """The files that are written for each input.

    Attributes:
        writing: format, quality and metadata of the pictures.
        save_masks: write the hole too, 255 where pixels were replaced.
        compare: write the picture given beside the restored one too.
    """

    writing: Writing = AS_GIVEN
    save_masks: bool = False
    compare: bool = False

    def endings(self, suffix: str, samples: int) -> dict[str, str]:
        """What the names of an input's files end with, by what they hold, but for the JSON.

        Args:
            suffix: of pictures.
            samples: number of other plausible restorations, with whose spread they come.
        """
        drawn = {_sample(number): f".{_sample(number)}{suffix}" for number in range(samples)}
        asked = {"picture": True, "mask": self.save_masks, "compare": self.compare}
        compared = f".compare{FORMATS[_compared(suffix)]}"
        endings = {"picture": f".restored{suffix}", "mask": ".mask.png", "compare": compared}
        endings = {what: ending for what, ending in endings.items() if asked[what]} | drawn
        return endings | ({"uncertainty": ".uncertainty.png"} if samples else {})


PICTURE_ALONE = Outputs()


def inputs_of(
    paths: Iterable[Path], *, recursive: bool = False
) -> tuple[list[Input], list[LeftOut]]:
    """The picture files that paths name; a folder stands for the pictures in it.

    Hidden files, and answers that an earlier run wrote, are passed over.

    Args:
        paths: files and folders.
        recursive: whether a folder stands for those in its subfolders too, which its answers keep.

    Returns:
        The inputs, and what else the folders hold.

    Raises:
        PictureError: when a path is missing or no file, or nothing is left.
    """
    inputs: list[Input] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if path.is_dir():
            for file in _listed(path, path, recursive, left_out):
                inputs.append(Input(file, file.relative_to(path).parent))
        elif path.is_file():
            inputs.append(Input(path))
        elif path.exists():
            raise PictureError(f"{path} is no file: name a picture or a folder of pictures.")
        else:
            raise PictureError(f"{path} does not exist: name a picture or a folder of pictures.")
    if not inputs:
        also = f" ({_listing(left_out)})" if left_out else ""
        raise PictureError(
            f"no pictures were found in the inputs{also}: name files, or a folder of them."
        )
    return list(dict.fromkeys(inputs)), left_out


def _listed(top: Path, folder: Path, recursive: bool, left_out: list[LeftOut]) -> Iterator[Path]:
    """The pictures of a folder in order; what else it holds is added to a list."""
    names = {path.name for path in folder.iterdir()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if recursive:
                yield from _listed(top, path, recursive, left_out)
            else:
                left_out.append(LeftOut(path, "a folder, which --recursive takes"))
        elif not path.is_file() or path.suffix.lower() not in SUFFIXES:
            if not path.name.endswith(ANSWER):
                left_out.append(LeftOut(path, "no picture by its ending"))
        elif not _is_answer(path, names):
            yield path


def _is_answer(path: Path, names: set[str]) -> bool:
    """Whether a file is of an answer: by its name, and the answer beside it or its own mark."""
    own = _OWN.fullmatch(path.name)
    if own is None:
        return False
    if f"{own[1]}{ANSWER}" in names:
        return True
    try:
        raw = path.read_bytes()
    except OSError:  # told when it is restored
        return False
    return any(mark in raw for mark in _MARKS)


def _listing(left_out: list[LeftOut]) -> str:
    """What is left out in words: how many for each reason, with the first one's name."""
    counts = Counter(one.reason for one in left_out)
    firsts = {one.reason: one.path for one in reversed(left_out)}
    return "; ".join(
        f"{firsts[reason]}{f' and {count - 1} more' if count > 1 else ''}: {reason}"
        for reason, count in counts.items()
    )


def left_out_sentence(left_out: list[LeftOut]) -> str:
    """A sentence that says what is left out and why."""
    return f"{len(left_out)} left out: {_listing(left_out)}."


def encoded(
    image: ImageFile, restored: Restoration, model: str, outputs: Outputs, raw: bytes = b""
) -> Iterator[tuple[str, bytes]]:
    """The files of `Outputs.endings`, each encoded when it is asked for.

    Args:
        image: as it was given.
        restored: its restoration.
        model: the model's name and version, for metadata.
        outputs: what is written.
        raw: the bytes of the input's file, which are the answer where nothing was restored.

    Yields:
        What it holds, and its bytes.

    Raises:
        PictureError: when a format cannot hold it.
    """
    writing, synthesised = outputs.writing, model if restored.altered else None
    if raw and synthesised is None and writing == AS_GIVEN:
        yield "picture", raw
    else:
        yield "picture", image.encode(restored.picture, writing, synthesised)
    marked = Metadata(text={"Software": f"unmask, model {model}"})
    if outputs.save_masks:
        yield "mask", encode_array(restored.hole.astype(np.uint8) * 255, marked)
    if outputs.compare:
        yield "compare", _beside(image, restored, model, _compared(image.suffix(writing)))
    for number, sample in enumerate(restored.samples):
        yield _sample(number), image.encode(sample, writing, synthesised)
    if restored.drawn:
        yield "uncertainty", encode_array(_uncertainty_levels(restored), marked)


def _beside(image: ImageFile, restored: Restoration, model: str, format_: str) -> bytes:
    """The file of a picture beside its restoration, both made smaller where they are large."""
    pair = [image.pixels, restored.picture]
    ratio = (_LARGEST_COMPARED / image.pixels[..., 0].size) ** 0.5
    if ratio < 1:
        pair = [
            cv2.resize(one, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA) for one in pair
        ]
    beside = np.concatenate(pair, axis=1)
    return encode_array(beside, Metadata().synthesised_by(model), format_)


def _uncertainty_levels(restored: Restoration) -> np.ndarray:
    """Four times the samples' standard deviation, (H, W) uint8."""
    levels = restored.uncertainty
    levels *= 4
    return np.minimum(levels, 255, out=levels).astype(np.uint8)


def _compared(suffix: str) -> str:
    """The format of a picture beside its restoration: JPEG beside JPEG, else PNG."""
    return "jpeg" if suffix == FORMATS["jpeg"] else "png"


def _sample(number: int) -> str:
    return f"sample-{number + 1}"


def document_of(
    restored: Restoration, model: str, options: RestoreOptions, warnings: Iterable[str]
) -> dict:
    """The JSON answer.

    Args:
        restored: the restoration.
        model: the model's name and version.
        options: that it was restored with.
        warnings: what of the input is not kept.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "seed": options.seed,
        "digital_source_type": DIGITAL_SOURCE_TYPE if restored.altered else None,
        "warnings": list(warnings),
        "faces": [face.as_json() for face in restored.faces],
    }


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
    files: frozenset[Path]

    def __call__(self, given: Input) -> FileAnswer:
        """Restore a file; whatever is wrong with it ends none but itself."""
        try:
            return self._restore(given)
        except PictureError as error:
            return FileAnswer(given.file, [], str(error))
        except OSError:  # of the folder that is written into, e.g. of a full disk
            raise
        except Exception as error:
            reason = f"{given.file}: a defect of the code, {type(error).__name__}: {error}"
            return FileAnswer(given.file, [], reason, defect=traceback.format_exc())

    def _restore(self, given: Input) -> FileAnswer:
        raw, stem = _read(given.file), self.out / given.stem
        key = sha256(raw).hexdigest()
        if self.skip_existing and (faces := self._existing(stem, key)) is not None:
            return FileAnswer(given.file, faces, existing=True)
        image = read_image(raw, str(given.file), self.most_pixels)
        suffix = image.suffix(self.outputs.writing)
        endings = self.outputs.endings(suffix, self.options.samples) | {"answer": ANSWER}
        paths = {what: stem.with_name(f"{stem.name}{end}") for what, end in endings.items()}
        self._check(paths.values(), given.file)
        restored = self.restore(image.pixels, self.options)
        for what, content in encoded(image, restored, self.model, self.outputs, raw):
            write_whole(paths[what], content)
        document = document_of(restored, self.model, self.options, image.warnings) | {
            "input": {"name": given.file.name, "sha256": key},
            "files": {what: path.name for what, path in paths.items() if what != "answer"},
        }
        write_whole(paths["answer"], (json.dumps(document, indent=1) + "\n").encode())
        faces = document["faces"]
        return FileAnswer(given.file, faces, "", image.warnings, paths["picture"])

    def _check(self, paths: Iterable[Path], file: Path) -> None:
        """Raises PictureError where an answer's file cannot have its name."""
        for path in paths:
            if len(os.fsencode(path.name)) > _LONGEST_NAME:
                raise PictureError(f"{file}: its name is too long for its answer's: shorten it.")
            if path.resolve() in self.files:
                raise PictureError(
                    f"{file}: its answer {path} would be written over an input: choose another "
                    "--out folder, or rename the input."
                )

    def _existing(self, stem: Path, key: str) -> list[dict] | None:
        """The faces of the answer that an earlier run wrote for the same bytes, if it is whole."""
        try:
            document = json.loads(stem.with_name(f"{stem.name}{ANSWER}").read_bytes())
            if document["input"]["sha256"] != key:
                return None
            files = document["files"]
            asked = self.outputs.endings("", self.options.samples)
            whole = set(asked) <= set(files) and all(
                stem.with_name(name).is_file() for name in files.values()
            )
            return document["faces"] if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def _read(file: Path) -> bytes:
    """Raises PictureError naming a file that cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise PictureError(f"{file}: {error.strerror}.") from error


def restore_files(
    inputs: Iterable[Input],
    out: Path,
    restore: Callable[[np.ndarray, RestoreOptions], Restoration],
    model: str,
    *,
    outputs: Outputs = PICTURE_ALONE,
    options: RestoreOptions = DEFAULT_OPTIONS,
    skip_existing: bool = False,
    most_pixels: int = LARGEST_PICTURE,
    workers: int = 1,
) -> Iterator[FileAnswer]:
    """Restore picture files; what is wrong with one is reported and the rest goes on.

    Writes OUT/<stem>.restored.<ending> and OUT/<stem>.restored.json; with `save_masks`,
    OUT/<stem>.mask.png; with `compare`, OUT/<stem>.compare.png. Where samples are drawn,
    OUT/<stem>.sample-1.<ending> and so on, and OUT/<stem>.uncertainty.png, four times their
    standard deviation. A picture in which nothing is restored is written as it was.

    Args:
        inputs: the picture files; of those whose answers would have the same names, none is
            restored.
        out: the folder that is written into; it is made where it is missing.
        restore: from a picture and what to assume to its restoration; picklable where there is more
            than one worker.
        model: the model's name and version, for JSON and metadata.
        outputs: what is written.
        options: what to assume, and how many samples to draw.
        skip_existing: leave an input whose answer is there for the same bytes.
        most_pixels: of a picture.
        workers: number of processes that share the files; the answers come in their order.

    Raises:
        OSError: naming the file that could not be written.
    """
    inputs = list(inputs)
    same: dict[Path, list[Path]] = {}
    for one in inputs:
        same.setdefault(one.stem, []).append(one.file)
    clashing = {stem for stem, files in same.items() if len(files) > 1}
    for stem in clashing:
        names = " and ".join(map(str, same[stem]))
        reason = f"{names} would both be answered as {out / stem}{ANSWER}: rename one."
        yield from (FileAnswer(file, [], reason) for file in same[stem])
    alone = [one for one in inputs if one.stem not in clashing]
    for folder in {out / one.folder for one in alone} | {out}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"the folder {folder} could not be made: {error.strerror}.") from error
    files = frozenset(one.file.resolve() for one in inputs)
    job = _Job(out, restore, model, outputs, options, skip_existing, most_pixels, files)
    if workers == 1:
        yield from map(job, alone)
    else:
        yield from ordered_map(job, alone, workers, chunk=1)
