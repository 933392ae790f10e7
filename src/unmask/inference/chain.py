"""The whole chain: landmarks, alignment, segmentation, gender, inpainting, paste-back."""

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor

from unmask.config.params import NETWORKS
from unmask.config.restore import Restore, load_restore
from unmask.geometry.frame import chained, invert, move_points, resizing, shown, warp
from unmask.geometry.landmarks import MOUTH, OUTER_EYE_CORNERS, mirrored
from unmask.inference.alignment import Box, align
from unmask.inference.blending import frame_hole, paste_back, picture_mask
from unmask.inference.mask_refinement import add_missed_pieces, confirms_mask, next_frame
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    PictureError,
    Restoration,
    RestoreOptions,
    untouched,
)
from unmask.inference.tone import match_tone
from unmask.models.inpainting import Generator
from unmask.models.network import Network
from unmask.models.stored import load_network

THREADS = 2  # the pixels are the same for the same number
SMALLEST_PICTURE = 16  # pixels


def _tensor(crop: np.ndarray) -> Tensor:
    return torch.from_numpy(crop).permute(2, 0, 1)[None].contiguous().float().div_(255)


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A square picture or map (S, S[, C]) with the side `size`."""
    if len(picture) == size:
        return picture
    smooth = cv2.INTER_AREA if size < len(picture) else cv2.INTER_LINEAR
    return cv2.resize(picture, (size, size), interpolation=smooth)


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
        networks: by name, in eval mode; each sees the face at its own `image_size`.
        settings: that they restore with.

    Attributes:
        size: side of the canonical frame in pixels, the inpainting network's.
    """

    def __init__(self, networks: dict[str, Network], settings: Restore) -> None:
        self.networks, self.settings = networks, settings
        self.size = networks["inpainting"].image_size

    @classmethod
    def load(cls, folder: Path) -> "Chain":
        """The chain of the networks stored under `folder`, with the settings kept beside them.

        Sets torch's number of threads, on which the last bits of its answers depend.

        Raises:
            UnmaskError: when a network is missing or damaged.
            UnmaskError: when the settings are damaged.
        """
        torch.set_num_threads(THREADS)
        networks = {name: load_network(folder / name) for name in NETWORKS}
        return cls(networks, load_restore(folder))

    def network_input(self, crop: np.ndarray, name: str) -> Tensor:
        """A crop (S, S, 3) uint8 as the network `name` takes it, (1, 3, s, s) in [0, 1]."""
        return _tensor(_resized(crop, self.networks[name].image_size))

    @torch.inference_mode()
    def _find_landmarks(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        """Landmarks (68, 2) of a crop of the network's size, and their disagreement.

        That is the mean distance to those of its mirror image, in inter-ocular distances.
        """
        given = _tensor(crop)
        plain, flipped = self.networks["landmarks"](torch.cat([given, given.flip(3)])).numpy()
        flipped = mirrored(flipped, len(crop))
        mean = (plain + flipped) / 2
        right, left = mean[list(OUTER_EYE_CORNERS)]
        apart = np.linalg.norm(plain - flipped, axis=1).mean()
        return mean, float(apart / max(float(np.linalg.norm(right - left)), 1.0))

    def landmarks(self, crop: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) of a crop (S, S, 3) uint8, in its pixels."""
        size = self.networks["landmarks"].image_size
        return move_points(self._find_landmarks(_resized(crop, size))[0], resizing(size, len(crop)))

    @torch.inference_mode()
    def _predict_masks(
        self, plain: np.ndarray, flipped: np.ndarray
    ) -> list[tuple[np.ndarray, float]]:
        """Probability of mask (S, S) and the detection's confidence in two crops (S, S, 3) uint8.

        The network is given the mirror image of the second; its answer is mirrored back.
        """
        given = [self.network_input(crop, "segmentation") for crop in (plain, flipped)]
        found, scores = self.networks["segmentation"](torch.cat([given[0], given[1].flip(3)]))
        masks = [_resized(m.numpy(), len(plain)) for m in (found[0], found[1].flip(1))]
        return list(zip(masks, scores.tolist(), strict=True))

    def segment(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        """Probability of mask (S, S) in a crop (S, S, 3) uint8, and the detection's confidence.

        The mean of the crop's and its mirror image's, or those of the one that shows a mask.
        """
        (plain, score), (flipped, other) = self._predict_masks(crop, crop)
        least = self.settings.mask.view_score
        if (score < least) != (other < least):
            return (plain, score) if score > other else (flipped, other)
        return (plain + flipped) / 2, (score + other) / 2

    def _average_rotations(
        self, picture: np.ndarray, transform: np.ndarray, probability: np.ndarray
    ) -> np.ndarray:
        """The mean probability of mask (S, S) in a frame and in the frame rotated either way.

        Of the rotated frames one is mirrored. The frame itself counts twice, being the mean of two.
        """
        angle, least = self.settings.mask.rotation, self.settings.mask.view_score
        frame, centre = (self.size, self.size), ((self.size - 1) / 2,) * 2
        rotations = [cv2.getRotationMatrix2D(centre, degrees, 1) for degrees in (angle, -angle)]
        plain, flipped = (warp(picture, chained(transform, r), frame) for r in rotations)
        total, count = 2 * probability, np.full(probability.shape, 2.0, np.float32)
        for rotation, (found, score) in zip(
            rotations, self._predict_masks(plain, flipped), strict=True
        ):
            if score >= least:
                total += warp(found, invert(rotation), frame, beyond=0)
                count += warp(np.ones_like(probability), invert(rotation), frame, beyond=0)
        return total / count

    @torch.inference_mode()
    def gender_male(self, crop: np.ndarray) -> float:
        """Probability of 'male'."""
        return float(self.networks["gender"](self.network_input(crop, "gender"))[0].sigmoid())

    @property
    def _latent(self) -> int:
        """Numbers in the inpainting network's z."""
        return cast(Generator, self.networks["inpainting"]).latent

    @torch.inference_mode()
    def fill(
        self,
        crop: np.ndarray,
        hole: np.ndarray,
        landmarks: np.ndarray,
        gender_male: float,
        latent: Tensor | None = None,
    ) -> np.ndarray:
        """The crop (S, S, 3) uint8 with its hole filled.

        Args:
            crop: (S, S, 3) uint8 RGB.
            hole: (S, S) bool, all that is not known: what the mask hides, and what the picture does
                not show.
            landmarks: (68, 2) in pixels of the crop.
            gender_male: probability of 'male'; NaN where nothing is known.
            latent: (latent,), standard normal, of one plausible face; None fills in the most
                plausible.
        """
        filled = self.networks["inpainting"](
            _tensor(crop),
            torch.from_numpy(hole)[None, None].float(),
            torch.from_numpy(landmarks.astype(np.float32))[None],
            torch.tensor([2 * gender_male - 1], dtype=torch.float32),
            torch.zeros(1, self._latent) if latent is None else latent[None],
        )
        pixels = filled[0].clamp(0, 1).mul(255).round().byte()
        return match_tone(
            crop, pixels.permute(1, 2, 0).contiguous().numpy(), hole, self.settings.tone
        )

    def restore(
        self,
        picture: np.ndarray,
        options: RestoreOptions = DEFAULT_OPTIONS,
        box: Box | None = None,
        valid: np.ndarray | None = None,
        own: np.ndarray | None = None,
    ) -> Restoration:
        """Restore one face: that of a face chip or portrait, or the one in `box`.

        The crop is widened while the mask reaches a border beyond which the picture goes on.

        Args:
            picture: (H, W, 3) uint8 RGB.
            options: what to assume, and how many samples to draw.
            box: x0, y0, x1, y1 of the face in the picture; None for a picture of one face.
            valid: (H, W) bool, false on padding; None where all pixels are the picture's.
            own: (H, W) bool, false where another face lies, whose mask is not this one's.
        """
        height, width = picture.shape[:2]
        valid = np.ones((height, width), bool) if valid is None else valid
        nothing = np.zeros((height, width), bool)
        settings = self.settings
        try:
            if min(height, width) < SMALLEST_PICTURE:
                raise PictureError(
                    f"the picture is {width} x {height} pixels; at least {SMALLEST_PICTURE} are "
                    "needed each way"
                )
            side = self.networks["landmarks"].image_size
            transform, landmarks = align(
                picture, self._find_landmarks, side, settings.alignment, box
            )
            transform = chained(transform, resizing(side, self.size))
        except PictureError as error:
            answer = FaceAnswer(
                "skipped", str(error), (0.0, 0.0, float(width), float(height)), None, 0.5, 0.0, 0.0
            )
            return untouched(picture, nothing, answer, options)
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
            probability = self._average_rotations(picture, transform, probability)
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
            return untouched(picture, nothing, answer, options)
        assumed = {None: male, "male": 1.0, "female": 0.0}[options.gender]
        covered = add_missed_pieces(crop, probability, settings.missed_pieces)
        hole = frame_hole(covered, settings.blending.filled) | ~shown(valid, transform, frame)
        noise = torch.Generator().manual_seed(options.seed)
        latents = torch.randn(options.samples, self._latent, generator=noise)
        pasted, *samples = (
            paste_back(
                picture,
                self.fill(crop, hole, points, assumed, latent),
                covered,
                transform,
                settings.blending,
            )
            for latent in (None, *latents)
        )
        answer = FaceAnswer("restored", "", corners, landmarks, male, fraction, score)
        others = tuple(sample.picture for sample in samples)
        mask = picture_mask(probability, transform, picture.shape, settings.blending)
        return Restoration(pasted.picture, mask, pasted.hole, [answer], others)
