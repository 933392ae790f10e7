"""The whole chain: landmarks, alignment, segmentation, gender, inpainting, paste-back."""

from functools import cached_property, lru_cache
from hashlib import md5
from pathlib import Path

import cv2
import numpy as np

from unmask.config.params import NETWORKS
from unmask.config.restore import Restore, load_restore
from unmask.errors import UnmaskError
from unmask.geometry.frame import (
    chained,
    invert,
    move_points,
    of_part,
    resized,
    resizing,
    shown,
    warp,
)
from unmask.geometry.landmarks import MOUTH, OUTER_EYE_CORNERS, mirrored
from unmask.inference.alignment import DetectedFace, align
from unmask.inference.blending import frame_hole, paste_back, picture_mask, shown_part
from unmask.inference.mask_refinement import add_missed_pieces, confirms_mask, next_frame
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    Patch,
    PictureError,
    Restoration,
    RestoreOptions,
)
from unmask.inference.runtime import OnnxNetwork
from unmask.inference.tone import match_tone

SMALLEST_PICTURE = 16  # pixels


def _images(*crops: np.ndarray) -> np.ndarray:
    """Crops (S, S, 3) uint8 as the networks take them, (N, 3, S, S) float32 in [0, 1]."""
    return np.stack(crops).transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


def _share_within(probability: np.ndarray, points: np.ndarray) -> float:
    """The share of points (N, 2) that lie within the convex hull of a mask, of probability (S, S).

    What a shield's rim goes round, and what shows through a window, lies within too.
    """
    mask = np.argwhere(probability > 0.5)[:, ::-1].astype(np.int32)
    within = np.zeros(probability.shape, np.uint8)
    if len(mask):
        cv2.fillConvexPoly(within, cv2.convexHull(mask), 1)
    columns, rows = points.round().astype(int).clip(0, len(within) - 1).T
    return float(within[rows, columns].mean())


class Chain:
    """The four networks, ready to restore.

    fp32, one picture at a time, so that the same picture gives the same pixels whatever it is sent
    with.

    Args:
        networks: by name; each sees the face at its own `image_size`.
        settings: that they restore with.

    A chain that was loaded is pickled as where its networks are stored, and loaded from there.

    Attributes:
        size: side of the canonical frame in pixels, the inpainting network's.
    """

    def __init__(self, networks: dict[str, OnnxNetwork], settings: Restore) -> None:
        self.networks, self.settings = networks, settings
        self.size = networks["inpainting"].image_size
        self._stored: tuple[Path, int | None] | None = None

    @classmethod
    def load(cls, folder: Path, threads: int | None = None) -> "Chain":
        """The chain of the networks stored under `folder`, with the settings kept beside them.

        Args:
            folder: of the four networks.
            threads: that each network computes with; None takes `threads_of_environment`.

        Raises:
            UnmaskError: when a network is missing or damaged, or cannot be computed here.
            UnmaskError: when the settings are damaged.
        """
        networks = {name: OnnxNetwork(folder / name, threads) for name in NETWORKS}
        chain = cls(networks, load_restore(folder))
        chain._stored = folder.absolute(), threads
        return chain

    @property
    def stored(self) -> list[Path]:
        """The folder that it was loaded from, if it was."""
        return [] if self._stored is None else [self._stored[0]]

    @cached_property
    def md5(self) -> str:
        """The md5 over the checksums of the networks, and the settings."""
        sums = "".join(str(self.networks[name].weights_md5) for name in NETWORKS)
        return md5(sums.encode() + self.settings.fingerprint).hexdigest()

    def __reduce__(self) -> tuple:
        if self._stored is None:
            raise TypeError("only a chain that was loaded from a folder can be pickled")
        return loaded, (*self._stored, self.md5)

    def _find_landmarks(self, crop: np.ndarray, *, compare: bool) -> tuple[np.ndarray, float]:
        """Landmarks (68, 2) of a crop of the network's size, and their disagreement.

        To compare takes the mean of the crop's and its mirror image's, and the mean distance
        between the two, in inter-ocular distances; else the disagreement is 0.
        """
        crops = [crop, crop[:, ::-1]] if compare else [crop]
        ((plain, *flipped),) = self.networks["landmarks"](images=_images(*crops))
        if not flipped:
            return plain, 0.0
        other = mirrored(flipped[0], len(crop))
        mean = (plain + other) / 2
        right, left = mean[list(OUTER_EYE_CORNERS)]
        apart = np.linalg.norm(plain - other, axis=1).mean()
        return mean, float(apart / max(float(np.linalg.norm(right - left)), 1.0))

    def landmarks(self, crop: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) of a crop (S, S, 3) uint8, in its pixels."""
        size = self.networks["landmarks"].image_size
        found, _ = self._find_landmarks(resized(crop, size), compare=True)
        return move_points(found, resizing(size, len(crop)))

    def segment(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        """Probability of mask (S, S) in a crop (S, S, 3) uint8, and the detection's confidence."""
        network = self.networks["segmentation"]
        (found,), (score,) = network(images=_images(resized(crop, network.image_size)))
        return resized(found, len(crop)), float(score)

    def _average_views(
        self, picture: np.ndarray, transform: np.ndarray, probability: np.ndarray
    ) -> np.ndarray:
        """The mean probability of mask (S, S) in a frame and in its mirror image, rotated."""
        angle, frame = self.settings.mask.rotation, (self.size, self.size)
        rotation = cv2.getRotationMatrix2D(((self.size - 1) / 2,) * 2, angle, 1)
        rotated = warp(picture, chained(transform, rotation), frame)
        found, score = self.segment(np.ascontiguousarray(rotated[:, ::-1]))
        if score < self.settings.mask.view_score:
            return probability
        back, found = invert(rotation), np.ascontiguousarray(found[:, ::-1])
        seen = warp(np.ones_like(probability), back, frame, beyond=0)
        return (probability + warp(found, back, frame, beyond=0)) / (1 + seen)

    def _classify(self, crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        network = self.networks["gender"]
        (logit,), (features,) = network(images=_images(resized(crop, network.image_size)))
        return logit, features

    def gender_male(self, crop: np.ndarray) -> float:
        """Probability of 'male' of a crop (S, S, 3) uint8."""
        return float(1 / (1 + np.exp(-self._classify(crop)[0])))

    def embedding(self, crop: np.ndarray) -> np.ndarray:
        """The features (F,) that the gender network classifies a crop (S, S, 3) uint8 by."""
        return self._classify(crop)[1]

    def fill(
        self,
        crop: np.ndarray,
        hole: np.ndarray,
        landmarks: np.ndarray,
        gender_male: float,
        latent: np.ndarray | None = None,
    ) -> np.ndarray:
        """The crop (S, S, 3) uint8 with its hole filled.

        Args:
            crop: (S, S, 3) uint8 RGB.
            hole: (S, S) bool, all that is not known: what the mask hides, and what the picture does
                not show.
            landmarks: (68, 2) in pixels of the crop.
            gender_male: probability of 'male'; NaN where nothing is known.
            latent: (latent,) float32, standard normal, of one plausible face; None fills in the
                most plausible.
        """
        network = self.networks["inpainting"]
        ((filled,),) = network(
            images=_images(crop),
            hole=hole[None, None].astype(np.float32),
            landmarks=landmarks[None].astype(np.float32),
            gender=np.array([2 * gender_male - 1], np.float32),
            latent=(np.zeros(network.latent, np.float32) if latent is None else latent)[None],
        )
        pixels = np.rint(filled.clip(0, 1) * np.float32(255)).astype(np.uint8)
        return match_tone(
            crop, np.ascontiguousarray(pixels.transpose(1, 2, 0)), hole, self.settings.tone
        )

    def restore(
        self,
        picture: np.ndarray,
        options: RestoreOptions = DEFAULT_OPTIONS,
        face: DetectedFace | None = None,
        valid: np.ndarray | None = None,
        own: np.ndarray | None = None,
    ) -> Restoration:
        """Restore one face: that of a face chip or portrait, or a detected one.

        The crop is widened while the mask reaches a border beyond which the picture goes on.

        Args:
            picture: (H, W, 3) uint8 RGB.
            options: what to assume, and how many samples to draw.
            face: where the face is in the picture; None for a picture of one face.
            valid: (H, W) bool, false on padding; None where all pixels are the picture's.
            own: (H, W) bool, false where another face lies, whose mask is not this one's.
        """
        height, width = picture.shape[:2]
        settings = self.settings
        try:
            if min(height, width) < SMALLEST_PICTURE:
                raise PictureError(
                    f"the picture is {width} x {height} pixels; at least {SMALLEST_PICTURE} are "
                    "needed each way"
                )
            side = self.networks["landmarks"].image_size
            transform, landmarks = align(
                picture, self._find_landmarks, side, settings.alignment, face
            )
            transform = chained(transform, resizing(side, self.size))
        except PictureError as error:
            answer = FaceAnswer(
                "skipped", str(error), (0.0, 0.0, float(width), float(height)), None, 0.5, 0.0, 0.0
            )
            return Restoration(picture, [answer], [], options.samples)
        frame = (self.size, self.size)
        crop = warp(picture, transform, frame)
        male = self.gender_male(crop)
        probability, score = self.segment(crop)
        for _ in range(settings.widening.frames):
            wider, growth = next_frame(probability, transform, picture.shape, settings.widening)
            if wider is None:
                break
            wider_crop = warp(picture, wider, frame)
            found, confidence = self.segment(wider_crop)
            kept = settings.widening.kept
            if not confirms_mask(probability, transform, found, wider, growth, kept):
                break
            transform, crop, probability, score = wider, wider_crop, found, confidence
        if score >= settings.mask.score:
            probability = self._average_views(picture, transform, probability)
        if own is not None:
            probability = probability * shown(own, transform, frame)
        points = move_points(landmarks, transform)
        fraction = float((probability > 0.5).mean())
        corners = (*landmarks.min(axis=0).tolist(), *landmarks.max(axis=0).tolist())
        if (
            score < settings.mask.score
            or fraction < settings.mask.area
            or _share_within(probability, points[MOUTH]) < settings.mask.mouth
        ):
            answer = FaceAnswer(
                "no_mask",
                "no mask was found on the face",
                corners,
                landmarks,
                male,
                fraction,
                score,
            )
            return Restoration(picture, [answer], [], options.samples)
        assumed = {None: male, "male": 1.0, "female": 0.0}[options.gender]
        covered = add_missed_pieces(crop, probability, settings.missed_pieces)
        hole = frame_hole(covered, settings.blending.filled)
        rows, columns = shown_part(transform, self.size, picture.shape)
        part, to_frame = picture[rows, columns], of_part(transform, columns.start, rows.start)
        known = np.ones(part.shape[:2], bool) if valid is None else valid[rows, columns]
        hole |= ~shown(known, to_frame, frame)
        latents = np.random.default_rng(options.seed).standard_normal(
            (options.samples, self.networks["inpainting"].latent), np.float32
        )
        fills = [self.fill(crop, hole, points, assumed, latent) for latent in (None, *latents)]
        pasted = paste_back(part, fills, covered, to_frame, settings.blending)
        mask = picture_mask(probability, to_frame, part.shape, settings.blending)
        restored, *samples = pasted.pictures
        patch = Patch(
            pasted.rows,
            pasted.columns,
            restored,
            mask[pasted.rows, pasted.columns],
            pasted.hole,
            tuple(samples),
        ).moved(columns.start, rows.start)
        answer = FaceAnswer("restored", "", corners, landmarks, male, fraction, score)
        return Restoration(picture, [answer], [patch], options.samples)


@lru_cache(maxsize=1)
def loaded(folder: Path, threads: int | None, md5: str) -> Chain:
    """The chain stored in a folder, kept until this process needs another one.

    Args:
        folder: of the four networks.
        threads: that each network computes with, see `Chain.load`.
        md5: of the chain.

    Raises:
        UnmaskError: when the folder holds another chain, as on a machine that shares no storage.
    """
    chain = Chain.load(folder, threads)
    if chain.md5 != md5:
        raise UnmaskError(f"{folder} holds other networks here: share the folder that has them.")
    return chain
