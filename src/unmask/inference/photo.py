"""Restoring photos: every face that is detected, each in the part of the photo around it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from unmask.config.restore import Detection
from unmask.inference.alignment import Box, fits_box
from unmask.inference.chain import Chain
from unmask.inference.detection import DetectedFace, FaceDetector
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    Restoration,
    RestoreOptions,
    untouched,
)
from unmask.inference.runtime import threads_of_environment
from unmask.parallel import CORES

_PICTURES_A_WORKER = 4  # least


class PhotoRestorer:
    """A face detector, and the chain for each face that it detects.

    Args:
        chain: whose settings are the detector's too.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain, self._settings = chain, chain.settings
        self._detector = FaceDetector(chain.settings.detection)

    def restore(
        self,
        photo: np.ndarray,
        options: RestoreOptions = DEFAULT_OPTIONS,
    ) -> Restoration:
        """Restore every masked face of a photo; all pixels away from their masks stay.

        A photo in which no face is detected is tried as one close-up.

        Args:
            photo: (H, W, 3) uint8 RGB.
            options: what to assume, and how many samples to draw.
        """
        found = self._detector.find(photo)
        if not found:
            close_up = self._chain.restore(photo, options)
            return close_up if close_up.hole.any() else _no_face(photo, options)
        picture, *samples = (photo.copy() for _ in range(1 + options.samples))
        mask, hole = np.zeros(photo.shape[:2], bool), np.zeros(photo.shape[:2], bool)
        answers = []
        for face in found:
            rows, columns, box = _part_around(face, photo.shape, self._settings.detection)
            if box is None:
                answers.append(_skipped(face, "the face is too small to restore"))
                continue
            own = _own_pixels(face, found, rows, columns)
            part = self._chain.restore(photo[rows, columns], options, box, own=own)
            answer = part.faces[0].moved(columns.start, rows.start)
            if answer.status == "skipped":
                answers.append(_skipped(face, answer.reason))
                continue
            landmarks = answer.landmarks
            if landmarks is not None and not fits_box(
                landmarks, face.box, self._settings.alignment
            ):
                answers.append(_skipped(face, "its landmarks cannot be made out"))
                continue
            restored = (part.picture, *part.samples)
            for whole, piece in zip((picture, *samples), restored, strict=True):
                changed = (piece != photo[rows, columns]).any(axis=2)
                whole[rows, columns][changed] = piece[changed]
            mask[rows, columns] |= part.mask
            hole[rows, columns] |= part.hole
            answers.append(answer)
        return Restoration(picture, mask, hole, answers, tuple(samples))


@dataclass(frozen=True)
class StoredRestorer:
    """Restores by the networks in a folder, which each process loads at its first picture.

    Attributes:
        networks: the folder.
        crop: whether each picture shows one face, so that no face is searched for.
        threads: that each network computes with, in each process.
    """

    networks: Path
    crop: bool
    threads: int

    def __call__(self, picture: np.ndarray, options: RestoreOptions) -> Restoration:
        """The restoration of a picture (H, W, 3) uint8 RGB."""
        return _loaded(self).restore(picture, options)


@lru_cache(maxsize=1)
def _loaded(stored: StoredRestorer) -> Chain | PhotoRestorer:
    return restorer_of(Chain.load(stored.networks, stored.threads), crop=stored.crop)


def stored_restorer(
    networks: Path, pictures: int, *, crop: bool, threads: int | None = None
) -> tuple[StoredRestorer, int]:
    """The restorer of so many pictures, and the number of processes to share them among.

    Few pictures are restored in this process, since another takes a second to start.

    Args:
        networks: the folder of the networks.
        pictures: number of them.
        crop: whether each picture shows one face, so that no face is searched for.
        threads: that each network computes with; None takes those of all processors for few
            pictures, else `threads_of_environment`.
    """
    few = pictures < 2 * _PICTURES_A_WORKER
    threads = threads or (CORES if few else threads_of_environment())
    workers = max(1, min(CORES // threads, pictures // _PICTURES_A_WORKER))
    return StoredRestorer(networks, crop, threads), workers


def restorer_of(chain: Chain, *, crop: bool) -> Chain | PhotoRestorer:
    """The restorer of pictures of one face each, or of photos."""
    return chain if crop else PhotoRestorer(chain)


def _part_around(
    face: DetectedFace, shape: tuple[int, ...], settings: Detection
) -> tuple[slice, slice, Box | None]:
    """Rows and columns around a face, and its box (x0, y0, x1, y1) in them; None if too small."""
    x0, y0, x1, y1 = face.box
    side = max(x1 - x0, y1 - y0)
    reach = settings.margin * side
    height, width = shape[:2]
    left, right = (round((x0 + x1) / 2 + s * reach) for s in (-1, 1))
    top, bottom = (round((y0 + y1) / 2 + s * reach) for s in (-1, 1))
    columns = slice(max(0, left), min(width, right))
    rows = slice(max(0, top), min(height, bottom))
    if side < settings.smallest:
        return rows, columns, None
    dx, dy = columns.start, rows.start
    return rows, columns, (x0 - dx, y0 - dy, x1 - dx, y1 - dy)


def _own_pixels(
    face: DetectedFace, found: list[DetectedFace], rows: slice, columns: slice
) -> np.ndarray:
    """Where a part of a photo may show a face, bool (H, W): not in the box of a nearer one.

    Distances are in sides of the boxes.
    """
    y, x = np.ogrid[rows, columns]

    def distance(box: Box) -> np.ndarray:
        x0, y0, x1, y1 = box
        return np.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0))

    nearness = distance(face.box)
    own = np.ones(nearness.shape, bool)
    for x0, y0, x1, y1 in (other.box for other in found if other is not face):
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        own &= ~(inside & (distance((x0, y0, x1, y1)) < nearness))
    return own


def _skipped(face: DetectedFace, reason: str) -> FaceAnswer:
    return FaceAnswer("skipped", reason, face.box, None, 0.5, 0.0, face.score)


def _no_face(photo: np.ndarray, options: RestoreOptions) -> Restoration:
    height, width = photo.shape[:2]
    whole = DetectedFace((0.0, 0.0, float(width), float(height)), 0.0)
    answer = _skipped(whole, "no face was found")
    return untouched(photo, np.zeros((height, width), bool), answer, options)
