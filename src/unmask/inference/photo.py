"""Restoring photos: every face that is detected, each in the part of the photo around it."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from unmask.config.restore import Detection
from unmask.geometry.frame import canonical_transform, move_points, warp
from unmask.inference.alignment import Box, DetectedFace, fits, points_apart
from unmask.inference.chain import Chain, loaded
from unmask.inference.detection import FaceDetector
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    Patch,
    Restoration,
    RestoreOptions,
)
from unmask.inference.runtime import threads_of_environment
from unmask.networks import chain_md5
from unmask.parallel import CORES

_FRAME, _AROUND = 160, 32  # pixels: of a restored face as it is looked at again, and around it
_PICTURES_A_WORKER = 4  # least
_MISFIT = "what would be restored does not fit the face"


class PhotoRestorer:
    """A face detector, and the chain for each face that it detects.

    Args:
        chain: whose settings are the detector's too.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain, self._settings = chain, chain.settings
        self._detector = FaceDetector(chain.settings.detection)

    def __reduce__(self) -> tuple:
        return PhotoRestorer, (self._chain,)

    def restore(
        self,
        photo: np.ndarray,
        options: RestoreOptions = DEFAULT_OPTIONS,
    ) -> Restoration:
        """Restore the masked faces of a photo; all pixels away from their masks stay.

        A photo in which no face is detected is tried as one close-up. Where it seems to be turned,
        what restores more faces counts: it turned back, or it as it is.

        Args:
            photo: (H, W, 3) uint8 RGB.
            options: what to assume, which faces, and how many samples to draw.

        Raises:
            PictureError: when a face is chosen that was not found.
        """
        find = self._restore_close_up if options.crop else self._restore_faces
        return find(photo, options).only(options.faces)

    def _restore_close_up(self, photo: np.ndarray, options: RestoreOptions) -> Restoration:
        """A photo of one face, which is not detected before, but after."""
        restored = self._chain.restore(photo, options)
        if not restored.altered or self._holds_together(restored):
            return restored
        (face,) = restored.faces
        return replace(restored, faces=[face.left(_MISFIT)], patches=[])

    def _restore_faces(self, photo: np.ndarray, options: RestoreOptions) -> Restoration:
        turns = self._detector.quarter_turns(photo)
        if not turns:
            return self._restore_upright(photo, options)
        turned = self._restore_upright(np.ascontiguousarray(np.rot90(photo, turns)), options)
        for _ in range(4 - turns):
            turned = turned.turned()
        if all(face.status == "restored" for face in turned.faces):
            return turned
        upright = self._restore_upright(photo, options)
        return turned if len(turned.patches) > len(upright.patches) else upright

    def _restore_upright(self, photo: np.ndarray, options: RestoreOptions) -> Restoration:
        found = self._detector.find(photo)
        if not found:
            close_up = self._restore_close_up(photo, options)
            return close_up if close_up.altered else _no_face(photo, options)
        answers: list[FaceAnswer] = []
        patches: list[Patch] = []
        for face in found:
            part = self._restore_face(photo, face, found, options)
            answers += part.faces
            patches += part.patches
        return Restoration(photo, answers, patches, options.samples)

    def _restore_face(
        self,
        photo: np.ndarray,
        face: DetectedFace,
        found: list[DetectedFace],
        options: RestoreOptions,
    ) -> Restoration:
        """The photo with one of the faces found restored, or left with the reason."""

        def skipped(reason: str) -> Restoration:
            return Restoration(photo, [_skipped(face, reason)], [], options.samples)

        rows, columns = _part_around(face, photo.shape, self._settings.detection)
        if face.side < self._settings.detection.smallest:
            return skipped("the face is too small to restore")
        own = _own_pixels(face, found, rows, columns)
        there = face.moved(-columns.start, -rows.start)
        part = self._chain.restore(photo[rows, columns], options, there, own=own)
        answer = part.faces[0].moved(columns.start, rows.start)
        if answer.status == "skipped":
            return skipped(answer.reason)
        landmarks = answer.landmarks
        if landmarks is not None and not fits(landmarks, face, self._settings.alignment):
            return skipped("its landmarks cannot be made out")
        if part.altered and not self._holds_together(part, there):
            return skipped(_MISFIT)
        patches = [patch.moved(columns.start, rows.start) for patch in part.patches]
        return Restoration(photo, [answer], patches, options.samples)

    def _holds_together(self, restored: Restoration, face: DetectedFace | None = None) -> bool:
        """Whether the detector finds a restored face again, where its landmarks are.

        Args:
            restored: of one face.
            face: as it was detected before, in the same pixels; None where it was not.
        """
        landmarks = restored.faces[0].landmarks
        if landmarks is None:
            return False
        transform = canonical_transform(landmarks, _FRAME)
        transform[:, 2] += _AROUND
        side = _FRAME + 2 * _AROUND
        again = self._detector.look(warp(restored.picture, transform, (side, side)))
        if not again:
            return self._settings.alignment.found_again == 0
        points = move_points(landmarks, transform)
        apart, score = min((points_apart(points, one), one.score) for one in again)
        before = 0.0 if face is None else points_apart(landmarks, face)
        settings = self._settings.alignment
        return before + apart <= settings.apart and score >= settings.found_again


@dataclass(frozen=True)
class StoredRestorer:
    """Restores by the networks in a folder, which each process loads at its first picture.

    Attributes:
        networks: the folder.
        threads: that each network computes with, in each process.
        md5: of their chain.
    """

    networks: Path
    threads: int
    md5: str

    def __call__(self, picture: np.ndarray, options: RestoreOptions) -> Restoration:
        """The restoration of a picture (H, W, 3) uint8 RGB."""
        return _loaded(self).restore(picture, options)


@lru_cache(maxsize=1)
def _loaded(stored: StoredRestorer) -> PhotoRestorer:
    return PhotoRestorer(loaded(stored.networks, stored.threads, stored.md5))


def stored_restorer(
    networks: Path, pictures: int, threads: int | None = None
) -> tuple[StoredRestorer, int]:
    """The restorer of so many pictures, and the number of processes to share them among.

    Few pictures are restored in this process, since another takes a second to start.

    Args:
        networks: the folder of the networks.
        pictures: number of them.
        threads: that each network computes with; None takes those of all processors for few
            pictures, else `threads_of_environment`.
    """
    few = pictures < 2 * _PICTURES_A_WORKER
    threads = threads or (CORES if few else threads_of_environment())
    workers = max(1, min(CORES // threads, pictures // _PICTURES_A_WORKER))
    return StoredRestorer(networks.absolute(), threads, chain_md5(networks)), workers


def _part_around(
    face: DetectedFace, shape: tuple[int, ...], settings: Detection
) -> tuple[slice, slice]:
    """Rows and columns of a photo around a face."""
    x0, y0, x1, y1 = face.box
    reach = settings.margin * face.side
    height, width = shape[:2]
    left, right = (round((x0 + x1) / 2 + s * reach) for s in (-1, 1))
    top, bottom = (round((y0 + y1) / 2 + s * reach) for s in (-1, 1))
    columns = slice(max(0, left), min(width, right))
    rows = slice(max(0, top), min(height, bottom))
    return rows, columns


def _own_pixels(
    face: DetectedFace, found: list[DetectedFace], rows: slice, columns: slice
) -> np.ndarray:
    """Where a part of a photo may show a face, bool (H, W): not in the box of a nearer one.

    Distances are in sides of the boxes.
    """
    y, x = (along.astype(np.float32) for along in np.ogrid[rows, columns])

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
    whole = DetectedFace((0.0, 0.0, float(width), float(height)), 0.0, np.zeros((5, 2)))
    answer = _skipped(whole, "no face was found")
    return Restoration(photo, [answer], [], options.samples)
