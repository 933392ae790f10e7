"""What the chain is asked and what it answers."""

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

    def moved(self, x: float, y: float) -> "FaceAnswer":
        """The same answer in a picture of which this one's picture is the part at (x, y)."""
        x0, y0, x1, y1 = self.box
        shift = np.array([x, y], np.float32)
        points = None if self.landmarks is None else self.landmarks + shift
        return replace(self, box=(x0 + x, y0 + y, x1 + x, y1 + y), landmarks=points)


MOST_SAMPLES = 32


@dataclass(frozen=True)
class RestoreOptions:
    """What to assume, and how many answers to give, since what a mask hides is not determined.

    Attributes:
        gender: 'male' or 'female' to assume it; None takes the network's answer.
        samples: plausible faces to draw beside the most plausible one.
        seed: of those draws.
    """

    gender: str | None = None
    samples: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, gender: str, samples: int, seed: int) -> "RestoreOptions":
        """From what a user gives.

        Args:
            gender: auto, male or female.
            samples: 0 to MOST_SAMPLES.
            seed: of the draws.

        Raises:
            UnmaskError: naming the value that does not fit.
        """
        if gender not in ("auto", "male", "female"):
            raise UnmaskError(f"gender is {gender!r}: use auto, male or female.")
        if not 0 <= samples <= MOST_SAMPLES:
            raise UnmaskError(f"samples is {samples}: use 0 to {MOST_SAMPLES}.")
        return cls(None if gender == "auto" else gender, int(samples), int(seed))


DEFAULT_OPTIONS = RestoreOptions()


@dataclass(frozen=True)
class Restoration:
    """A restored picture and how it came about.

    Attributes:
        picture: (H, W, 3) uint8.
        mask, hole: (H, W) bool, the predicted mask and the pixels that were filled.
        faces: one answer per face.
        samples: other plausible restorations (H, W, 3) uint8, as many as were asked for.
    """

    picture: np.ndarray
    mask: np.ndarray
    hole: np.ndarray
    faces: list[FaceAnswer]
    samples: tuple[np.ndarray, ...] = ()

    @property
    def uncertainty(self) -> np.ndarray:
        """Standard deviation of the samples, (H, W) float32 in 0..255, channels averaged."""
        drawn = np.stack(self.samples).astype(np.float32)
        return drawn.std(axis=0).mean(axis=2)


def untouched(
    picture: np.ndarray, mask: np.ndarray, answer: FaceAnswer, options: RestoreOptions
) -> Restoration:
    """The answer for a picture that stays as it is, and so do its samples.

    Args:
        picture: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the predicted mask.
        answer: of its one face.
        options: that give the number of samples.
    """
    hole = np.zeros(picture.shape[:2], bool)
    samples = tuple(picture.copy() for _ in range(options.samples))
    return Restoration(picture.copy(), mask, hole, [answer], samples)
