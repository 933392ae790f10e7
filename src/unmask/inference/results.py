"""What the chain is asked and what it answers."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from unmask.errors import UnmaskError


class PictureError(UnmaskError):
    """A picture that the chain cannot take; says why."""


@dataclass(frozen=True)
class FaceAnswer:
    """What the chain found of one face, in pixels of the picture given.

    Attributes:
        status: 'restored', 'no_mask' or 'skipped'; `reason` says why it is not restored.
        box: x0, y0, x1, y1 of the face's landmarks.
        landmarks: (68, 2) float32, or None where skipped.
        gender_male: probability of 'male' in [0, 1].
        mask_fraction: share of the canonical frame that the mask covers.
        score: Mask R-CNN's confidence in [0, 1].
    """

    status: str
    reason: str
    box: tuple[float, float, float, float]
    landmarks: np.ndarray | None
    gender_male: float
    mask_fraction: float
    score: float

    def as_json(self) -> dict:
        """The face's entry in the JSON answer."""
        points = [] if self.landmarks is None else self.landmarks.tolist()
        return {
            "status": self.status,
            "reason": self.reason,
            "box": [round(v, 2) for v in self.box],
            "landmarks": [[round(x, 2), round(y, 2)] for x, y in points],
            "gender_male": round(self.gender_male, 4),
            "mask_fraction": round(self.mask_fraction, 4),
            "score": round(self.score, 4),
        }

    def left(self, reason: str) -> "FaceAnswer":
        """The answer of the same face where it is left as it was."""
        return replace(self, status="skipped", reason=reason, landmarks=None)

    def turned(self, width: int) -> "FaceAnswer":
        """The same answer in a picture of that width, turned counter-clockwise by a quarter."""
        x0, y0, x1, y1 = self.box
        last = width - 1.0
        points = self.landmarks
        if points is not None:
            points = np.column_stack([points[:, 1], np.float32(last) - points[:, 0]])
        return replace(self, box=(y0, last - x1, y1, last - x0), landmarks=points)

    def moved(self, x: float, y: float) -> "FaceAnswer":
        """The same answer in a picture of which this one's picture is the part at (x, y)."""
        x0, y0, x1, y1 = self.box
        shift = np.array([x, y], np.float32)
        points = None if self.landmarks is None else self.landmarks + shift
        return replace(self, box=(x0 + x, y0 + y, x1 + x, y1 + y), landmarks=points)


MOST_SAMPLES = 32
_NUMBER = "0{0,5}[1-9][0-9]{0,5}"
FACES = f"all|{_NUMBER}(, ?{_NUMBER})*"  # what names faces, as a regular expression


@dataclass(frozen=True)
class RestoreOptions:
    """What to assume, and how many answers to give, since what a mask hides is not determined.

    Attributes:
        gender: 'male' or 'female' to assume it; None takes the network's answer.
        samples: plausible faces to draw beside the most plausible one.
        seed: of those draws.
        crop: whether the picture shows one face, so that no face is searched for.
        faces: numbers of those to restore, from 1 in the order of the answers; None for all.
    """

    gender: str | None = None
    samples: int = 0
    seed: int = 0
    crop: bool = False
    faces: frozenset[int] | None = None

    @classmethod
    def parse(
        cls, gender: str, samples: int, seed: int, crop: bool, faces: str
    ) -> "RestoreOptions":
        """From what a user gives.

        Args:
            gender: auto, male or female.
            samples: 0 to MOST_SAMPLES.
            seed: of the draws.
            crop: whether the picture shows one face.
            faces: all, or numbers from 1 with commas between them.

        Raises:
            UnmaskError: naming the value that does not fit.
        """
        if gender not in ("auto", "male", "female"):
            raise UnmaskError(f"gender is {gender!r}: use auto, male or female.")
        if not 0 <= samples <= MOST_SAMPLES:
            raise UnmaskError(f"samples is {samples}: use 0 to {MOST_SAMPLES}.")
        if not re.fullmatch(FACES, faces):
            raise UnmaskError(f"faces is {faces[:100]!r}: use all, or numbers from 1 such as 1,3.")
        chosen = None if faces == "all" else frozenset(map(int, faces.split(",")))
        assumed = None if gender == "auto" else gender
        return cls(assumed, int(samples), int(seed), crop, chosen)


DEFAULT_OPTIONS = RestoreOptions()


@dataclass(frozen=True)
class Patch:
    """The part of a picture that shows a restored face.

    Attributes:
        rows, columns: where it lies in the picture.
        picture: (h, w, 3) uint8.
        mask, hole: (h, w) bool, the predicted mask and the pixels that were filled.
        samples: other plausible restorations (h, w, 3) uint8, as many as were asked for.
    """

    rows: slice
    columns: slice
    picture: np.ndarray
    mask: np.ndarray
    hole: np.ndarray
    samples: tuple[np.ndarray, ...] = ()

    @property
    def uncertainty(self) -> np.ndarray:
        """Standard deviation of the samples, (h, w) float32 in 0..255, channels averaged."""
        return spread_of(self.samples)

    def moved(self, x: int, y: int) -> "Patch":
        """The same patch of a picture of which this one's picture is the part at (x, y)."""
        rows = slice(self.rows.start + y, self.rows.stop + y)
        columns = slice(self.columns.start + x, self.columns.stop + x)
        return replace(self, rows=rows, columns=columns)

    def turned(self, width: int) -> "Patch":
        """The same patch of a picture of that width, turned counter-clockwise by a quarter."""
        return Patch(
            slice(width - self.columns.stop, width - self.columns.start),
            self.rows,
            np.rot90(self.picture),
            np.rot90(self.mask),
            np.rot90(self.hole),
            tuple(np.rot90(sample) for sample in self.samples),
        )


def spread_of(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Standard deviation of pictures (H, W, 3) uint8, (H, W) float32 in 0..255, channels averaged.

    It is computed row by row, since large pictures take four times their memory as float32.
    """
    spread = np.empty(samples[0].shape[:2], np.float32)
    for row, values in enumerate(spread):
        drawn = np.stack([sample[row] for sample in samples]).astype(np.float32)
        values[:] = drawn.std(axis=0).mean(axis=1)
    return spread


@dataclass(frozen=True)
class Restoration:
    """A restored picture and how it came about.

    Pictures and maps of the whole are made anew each time that they are asked for, since a photo
    may have 50 million pixels, and its faces a few.

    Attributes:
        given: (H, W, 3) uint8, the picture before.
        faces: one answer per face.
        patches: one per restored face; where two overlap, the later one's changes count.
        drawn: number of samples that were asked for.
    """

    given: np.ndarray
    faces: list[FaceAnswer]
    patches: list[Patch]
    drawn: int = 0

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8, restored."""
        return self._with([patch.picture for patch in self.patches])

    @property
    def samples(self) -> Iterator[np.ndarray]:
        """Other plausible restorations (H, W, 3) uint8, one after the other."""
        for number in range(self.drawn):
            yield self._with([patch.samples[number] for patch in self.patches])

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool, the predicted mask."""
        return self._union([patch.mask for patch in self.patches])

    @property
    def hole(self) -> np.ndarray:
        """(H, W) bool, the pixels that were filled."""
        return self._union([patch.hole for patch in self.patches])

    @property
    def altered(self) -> bool:
        """Whether any pixel was filled."""
        return any(patch.hole.any() for patch in self.patches)

    @property
    def uncertainty(self) -> np.ndarray:
        """Standard deviation of the samples, (H, W) float32 in 0..255, channels averaged."""
        spread = np.zeros(self.given.shape[:2], np.float32)
        for patch in self.patches:
            part = spread[patch.rows, patch.columns]
            np.maximum(part, patch.uncertainty, out=part)
        return spread

    def only(self, faces: frozenset[int] | None) -> "Restoration":
        """The same with no others than the faces of these numbers restored; None keeps all.

        Raises:
            PictureError: when there is no face of a number.
        """
        if faces is None:
            return self
        if (most := max(faces)) > (count := len(self.faces)):
            raise PictureError(f"face {most} is chosen, but the faces found are {count}")
        patches = iter(self.patches)
        answers, kept = [], []
        for number, face in enumerate(self.faces, 1):
            if face.status == "restored":
                patch = next(patches)
                if number in faces:
                    kept.append(patch)
                else:
                    face = face.left("it was not chosen")
            answers.append(face)
        return replace(self, faces=answers, patches=kept)

    def turned(self) -> "Restoration":
        """The same restoration of the picture turned counter-clockwise by a quarter."""
        width = self.given.shape[1]
        return replace(
            self,
            given=np.rot90(self.given),
            faces=[face.turned(width) for face in self.faces],
            patches=[patch.turned(width) for patch in self.patches],
        )

    def _with(self, parts: list[np.ndarray]) -> np.ndarray:
        picture = self.given.copy()
        for patch, restored in zip(self.patches, parts, strict=True):
            changed = (restored != self.given[patch.rows, patch.columns]).any(axis=2)
            picture[patch.rows, patch.columns][changed] = restored[changed]
        return picture

    def _union(self, parts: list[np.ndarray]) -> np.ndarray:
        union = np.zeros(self.given.shape[:2], bool)
        for patch, part in zip(self.patches, parts, strict=True):
            union[patch.rows, patch.columns] |= part
        return union
