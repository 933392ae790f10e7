"""Restoring picture files into a folder: pictures, masks and JSON answers."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.inference.pictures import SUFFIXES, decode_picture, encode_picture
from unmask.inference.results import DEFAULT_OPTIONS, PictureError, Restoration, RestoreOptions
from unmask.parallel import ordered_map
from unmask.project import write_whole

SCHEMA_VERSION = 1
ENDINGS = {"picture": ".png", "json": ".json", "mask": ".mask.png", "compare": ".compare.png"}


@dataclass(frozen=True)
class FileAnswer:
    """What became of one input: its answer's faces as JSON, or the error that names it."""

    source: Path
    faces: list[dict]
    error: str = ""


def inputs_of(paths: Iterable[Path]) -> list[Path]:
    """The picture files that paths name; a folder stands for the pictures in it.

    Raises:
        PictureError: when a path is missing, nothing is left, or two inputs share a stem.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(
                p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file()
            )
        elif path.is_file():
            files.append(path)
        else:
            raise PictureError(f"{path} does not exist: name a picture or a folder of pictures.")
    if not files:
        raise PictureError("no pictures were found in the inputs: name files, or a folder of them.")
    stems: dict[str, Path] = {}
    for file in files:
        if (other := stems.setdefault(file.stem, file)) != file:
            raise PictureError(
                f"{other} and {file} would both be written as {file.stem}.png: rename one."
            )
    return files


def outputs_of(
    files: Iterable[Path],
    out: Path,
    *,
    save_masks: bool = False,
    compare: bool = False,
    samples: int = 0,
) -> dict[Path, dict[str, Path]]:
    """The files that each input's restoration is written to, by what they hold.

    Args:
        files: the inputs.
        out: the folder that is written into.
        save_masks: write the hole too.
        compare: write the picture given beside the restored one too.
        samples: number of other restorations that are written too, with their uncertainty.

    Raises:
        PictureError: when one of them is an input, or two are the same file.
    """
    asked = {"picture": True, "json": True, "mask": save_masks, "compare": compare}
    suffixes = {what: ENDINGS[what] for what, wanted in asked.items() if wanted}
    if samples:
        suffixes["uncertainty"] = ".uncertainty.png"
        suffixes |= {f"sample {i}": f".sample-{i}.png" for i in range(1, samples + 1)}
    outputs = {
        file: {what: out / f"{file.stem}{suffix}" for what, suffix in suffixes.items()}
        for file in files
    }
    taken = {file.resolve() for file in outputs}
    for paths in outputs.values():
        for path in paths.values():
            if path.resolve() in taken:
                raise PictureError(
                    f"{path} would be written twice or over an input: choose another --out folder, "
                    "or rename the input."
                )
            taken.add(path.resolve())
    return outputs


def contents_of(
    picture: np.ndarray,
    restored: Restoration,
    model: str,
    *,
    save_masks: bool = False,
    compare: bool = False,
    options: RestoreOptions = DEFAULT_OPTIONS,
) -> dict[str, bytes]:
    """What the files of `outputs_of` hold, in the order to write them: the JSON comes last.

    Args:
        picture: as it was given, (H, W, 3) uint8 RGB.
        restored: its restoration.
        model: the model's name and version, for JSON and metadata.
        save_masks: whether the hole is one of them.
        compare: whether the picture given beside the restored one is.
        options: that it was restored with.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "seed": options.seed,
        "faces": [face.as_json() for face in restored.faces],
    }
    synthesised = model if restored.hole.any() else None
    contents = {"picture": encode_picture(restored.picture, synthesised)}
    if save_masks:
        contents["mask"] = encode_picture(restored.hole)
    if compare:
        beside = np.concatenate([picture, restored.picture], axis=1)
        contents["compare"] = encode_picture(beside, synthesised)
    if options.samples:
        map_ = (4 * restored.uncertainty).clip(0, 255).astype(np.uint8)
        contents["uncertainty"] = encode_picture(map_)
    for number, sample in enumerate(restored.samples, 1):
        contents[f"sample {number}"] = encode_picture(sample, synthesised)
    contents["json"] = (json.dumps(document, indent=1) + "\n").encode()
    return contents


@dataclass(frozen=True)
class _Writing:
    """How files are restored and written; the attributes are `restore_files`'s arguments."""

    restore: Callable[[np.ndarray, RestoreOptions], Restoration]
    model: str
    save_masks: bool
    compare: bool
    options: RestoreOptions

    def __call__(self, given: tuple[Path, dict[str, Path]]) -> FileAnswer:
        """Restore a file into the files of `outputs_of`."""
        file, paths = given
        try:
            picture = decode_picture(file.read_bytes(), str(file))
        except PictureError as error:
            return FileAnswer(file, [], str(error))
        except OSError as error:
            return FileAnswer(file, [], f"{file}: {error.strerror}.")
        restored = self.restore(picture, self.options)
        contents = contents_of(
            picture,
            restored,
            self.model,
            save_masks=self.save_masks,
            compare=self.compare,
            options=self.options,
        )
        for what, content in contents.items():
            write_whole(paths[what], content)
        return FileAnswer(file, [face.as_json() for face in restored.faces])


def restore_files(
    files: Iterable[Path],
    out: Path,
    restore: Callable[[np.ndarray, RestoreOptions], Restoration],
    model: str,
    *,
    save_masks: bool = False,
    compare: bool = False,
    options: RestoreOptions = DEFAULT_OPTIONS,
    workers: int = 1,
) -> Iterable[FileAnswer]:
    """Restore picture files; one that is no image is reported and the rest goes on.

    Writes OUT/<stem>.png, OUT/<stem>.json and, with `save_masks`, OUT/<stem>.mask.png, which is 255
    where pixels were replaced; with `compare`, OUT/<stem>.compare.png, the picture given beside the
    restored one. Where samples are drawn, OUT/<stem>.sample-1.png and so on, and
    OUT/<stem>.uncertainty.png, four times their standard deviation.

    Args:
        files: the picture files.
        out: the folder that is written into; it is made where it is missing.
        restore: from a picture and what to assume to its restoration; picklable where there is more
            than one worker.
        model: the model's name and version, for JSON and metadata.
        save_masks: write the hole too.
        compare: write the picture given beside the restored one too.
        options: what to assume, and how many samples to draw.
        workers: number of processes that share the files; the answers come in their order.

    Raises:
        PictureError: when an output would overwrite an input or another output.
        OSError: naming the file that could not be written.
    """
    outputs = outputs_of(
        files, out, save_masks=save_masks, compare=compare, samples=options.samples
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"the folder {out} could not be made: {error.strerror}.") from error
    writing = _Writing(restore, model, save_masks, compare, options)
    if workers == 1:
        yield from map(writing, outputs.items())
    else:
        yield from ordered_map(writing, outputs.items(), workers, chunk=1)
