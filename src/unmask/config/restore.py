"""How a model restores: the section `restore` of params.yaml, and the file that keeps it.

The values that a model was tuned with lie beside its networks in `restore.json`, so that the model
restores alike in evaluation, gate and production. A folder without the file was stored before there
was one, with the values that are the defaults here; a better value therefore goes into conf/.
conf/cpu.yaml says what each value was tuned on.
"""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from unmask.config.section import (
    Count,
    Counts,
    Fraction,
    FractionInterval,
    NotNegative,
    Positive,
    PositiveInterval,
    Section,
    sentence_of,
)
from unmask.errors import UnmaskError
from unmask.project import write_whole

RESTORE = "restore.json"
Starts = Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]


class Detection(Section):
    """The faces of a photo, and the part of the photo around each that it is restored in."""

    sides: Counts = (320, 640, 1280)  # pixels, longest sides that the photo is searched at
    score: Fraction = 0.4  # confidence from which on a detection counts
    largest_seen: Positive = 1e5  # pixels of a face as it is searched, up to which its box is good
    upright: Fraction = 0.0  # confidence below which a photo's quarter turns are tried
    overlap: Fraction = 0.55  # share of the smaller of two boxes in both, from which on one face
    margin: Positive = 1.6  # from a box's centre to its part's borders, in longer sides of the box
    smallest: Positive = 16.0  # pixels, the longer side of the smallest box that is restored


class Alignment(Section):
    """The search for landmarks and canonical frame, each found from the other in turn."""

    starts: Starts = (1.5, 1.2, 2.0)  # sides of the frames tried first, in longer sides of the box
    iterations: Count = 3  # times that landmarks are found and the frame is laid by them
    # Mean distance of the landmarks of a crop and of its mirror image, in inter-ocular distances:
    agreement: NotNegative = 0.03  # up to which no other start is tried
    disagreement: NotNegative = 0.15  # beyond which a detected face is skipped
    width: PositiveInterval = (0.4, 2.5)  # of a detected face's landmarks, in widths of its box
    # Mean distance of eyes and nose from the detector's, in longer sides of its box, of the masked
    # face and of the restored one together:
    apart: Positive = 1e5  # beyond which a face is skipped
    found_again: Fraction = 0.0  # confidence, least, that the restored face is detected with


class MaskDetection(Section):
    """The mask in the canonical frame, and whether it is one on the face."""

    view_score: Fraction = 0.5  # confidence from which on a view of the frame shows a mask
    rotation: NotNegative = 8.0  # degrees of one more view, mirrored, that is averaged
    score: Fraction = 0.8  # confidence from which on the face wears a mask
    area: Fraction = 0.05  # of the frame, least
    mouth: Fraction = 0.3  # of the mouth's landmarks, least, within the mask's convex hull


class Border(Section):
    """When a mask is taken for cut off by a border of the frame; shares of the frame's side."""

    distance: Fraction  # from the border, at most
    stretch: Fraction  # along the border, least
    growth: NotNegative  # area that a wider frame must show, least, in areas of the mask so far


class Widening(Section):
    """Wider frames, for a mask that the canonical frame cuts off."""

    frames: Annotated[int, Field(ge=0)] = 7  # one after the other, at most
    zoom: Annotated[float, Field(gt=0, lt=1)] = 0.89  # of each frame to the one before
    kept: Fraction = 0.8  # of the mask so far, least, that the wider frame's mask covers
    at_border: Border = Border(distance=0.02, stretch=0.0, growth=0.0)
    near_border: Border = Border(distance=0.06, stretch=0.15, growth=1.02)


class MissedPieces(Section):
    """Pieces that segmentation missed, found by colour (GrabCut); lengths in sides of the frame."""

    side: Count = 256  # pixels of the frame in which they are looked for, at most
    reach: NotNegative = 0.07  # from the mask, where pieces are looked for
    background: NotNegative = 0.14  # beyond the reach, where the colours of all else are learned
    core: NotNegative = 0.02  # from the mask's edge inwards, beyond which it is surely mask
    largest_mask: Fraction = 0.8  # of the frame, beyond which too little else is left to learn
    largest_piece: NotNegative = 0.1  # of the mask, where the piece goes on beyond the reach
    iterations: Count = 2


class Blending(Section):
    """The restored crop brought back into the picture; lengths in sides of the frame."""

    filled: NotNegative = 0.02  # beyond the mask, what inpainting fills
    replaced: NotNegative = 0.01  # beyond the mask, what is replaced in the picture
    band: NotNegative = 0.01  # beyond what is replaced, over which it fades out
    fade: NotNegative = 0.05  # from the frame's border, over which what it cuts off fades out
    # The probability at which a pixel of the picture is mask, where the picture is finer than the
    # frame by more than `finer`, a ratio; else 0.5.
    coverage: Fraction = 0.575
    finer: Positive = 1.1
    surroundings: FractionInterval = (0.02, 0.2)  # from the hole, whose detail and grain it gets
    sharpening: Annotated[float, Field(ge=1)] = 1.5  # of the fine detail lost, at most, times
    grain: Fraction = 0.5  # of the surroundings' grain that the hole lacks
    strongest_grain: NotNegative = 4.0  # grey levels, standard deviation


class Tone(Section):
    """A photo of one tone, as black and white or sepia: red and blue follow from luma."""

    blur: Positive = 1.0  # pixels, the Gaussian's sigma: JPEG stores colour coarser than luma
    tolerance: NotNegative = 5.0  # grey levels from the curve
    percentile: Annotated[float, Field(ge=0, le=100)] = 90.0  # of the pixels, within the tolerance


class Restore(Section):
    """How the chain restores with its networks."""

    detection: Detection = Detection()
    alignment: Alignment = Alignment()
    mask: MaskDetection = MaskDetection()
    widening: Widening = Widening()
    missed_pieces: MissedPieces = MissedPieces()
    blending: Blending = Blending()
    tone: Tone = Tone()

    @property
    def fingerprint(self) -> bytes:
        """What differs from the defaults, empty where nothing does.

        It joins the checksum of a model, which for the defaults stays that of its networks.
        """
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(changed, sort_keys=True).encode() if changed else b""


def save_restore(settings: Restore, folder: Path) -> None:
    """Write the settings beside the networks in a folder, whole or not at all.

    Raises:
        OSError: naming the file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    document = json.dumps(settings.model_dump(mode="json"), indent=1) + "\n"
    write_whole(folder / RESTORE, document.encode())


def load_restore(folder: Path) -> Restore:
    """The settings that the networks in a folder restore with; the defaults where it has no file.

    Raises:
        UnmaskError: naming the file, when it is damaged.
    """
    path = folder / RESTORE
    try:
        return Restore.model_validate(json.loads(path.read_text()))
    except FileNotFoundError:
        return Restore()
    except ValidationError as error:
        raise UnmaskError(sentence_of(error, path)) from error
    except ValueError as error:
        raise UnmaskError(f"{path} is damaged: it is not JSON.") from error
