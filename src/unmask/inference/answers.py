"""What is answered for a picture: files, and a JSON document."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from unmask.inference.image_file import AS_GIVEN, FORMATS, ImageFile, Writing, encode_array
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE, Metadata
from unmask.inference.results import Restoration, RestoreOptions

SCHEMA_VERSION = 1
ANSWER = ".restored.json"  # what the name of the document's file ends with, which completes it
MARKS = (b"unmask, model ", b'AISystemUsed="unmask"')  # in the files of answers
_LARGEST_COMPARED = 12_000_000  # pixels, of each of the two


@dataclass(frozen=True)
class Outputs:
    """The files that are written for each input.

    Attributes:
        writing: format, quality and metadata of the pictures.
        save_masks: write the hole too, 255 where pixels were replaced.
        compare: write the picture given beside the restored one too.
        uncertainty: write four times the samples' standard deviation too, where they are drawn.
    """

    writing: Writing = AS_GIVEN
    save_masks: bool = False
    compare: bool = False
    uncertainty: bool = True

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
        if samples and self.uncertainty:
            endings["uncertainty"] = ".uncertainty.png"
        return endings


PICTURE_ALONE = Outputs()


def encoded(
    image: ImageFile, restored: Restoration, model: str, outputs: Outputs
) -> Iterator[tuple[str, bytes]]:
    """The files of `Outputs.endings`, each encoded when it is asked for.

    Where nothing was restored and nothing else is asked for, the picture's is the file given.

    Args:
        image: as it was given.
        restored: its restoration.
        model: the model's name and version, for metadata.
        outputs: what is written.

    Yields:
        What it holds, and its bytes.

    Raises:
        PictureError: when a format cannot hold it.
    """
    writing, synthesised = outputs.writing, model if restored.altered else None
    if image.given and synthesised is None and writing == AS_GIVEN:
        yield "picture", image.given
    else:
        yield "picture", image.encode(restored.picture, writing, synthesised)
    marked = Metadata(text={"Software": f"unmask, model {model}"})
    if outputs.save_masks:
        yield "mask", encode_array(restored.hole.astype(np.uint8) * 255, marked)
    if outputs.compare:
        yield "compare", _beside(image, restored, model, _compared(image.suffix(writing)))
    for number, sample in enumerate(restored.samples):
        yield _sample(number), image.encode(sample, writing, synthesised)
    if restored.drawn and outputs.uncertainty:
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
    image: ImageFile, restored: Restoration, model: str, options: RestoreOptions
) -> dict:
    """The JSON answer.

    Args:
        image: as it was given.
        restored: its restoration.
        model: the model's name and version.
        options: that it was restored with.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "seed": options.seed,
        "digital_source_type": DIGITAL_SOURCE_TYPE if restored.altered else None,
        "warnings": list(image.warnings),
        "faces": [face.as_json() for face in restored.faces],
    }


def document_bytes(document: dict) -> bytes:
    """The content of a JSON answer's file."""
    return f"{json.dumps(document, indent=1)}\n".encode()
