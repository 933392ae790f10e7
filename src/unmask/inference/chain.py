"""The whole chain: landmarks, alignment, segmentation, gender, inpainting, paste-back."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from unmask.config.params import NETWORKS
from unmask.geometry.frame import chained, invert, move_points, resizing, shown, warp
from unmask.geometry.landmarks import MOUTH, OUTER_EYE_CORNERS, mirrored
from unmask.inference.alignment import Box, align
from unmask.inference.blending import frame_hole, paste_back, picture_mask
from unmask.inference.mask_refinement import WIDENINGS, next_frame, shows_more, with_missed_pieces
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    PictureError,
    Restoration,
    RestoreOptions,
    untouched,
)
from unmask.inference.tone import toned_like
from unmask.models.stored import load_network

_SMALLEST_MASK = 0.05  # of the frame's area
_SEEN = 0.5  # a view's score
_TURNED = 8  # degrees, of which each way the mask is looked at once more
_LEAST_MOUTH = 0.3  # of the mouth's landmarks, within the mask's convex hull
_LEAST_SCORE = 0.8  # masked val faces have 0.99 and more, 99 in 100 bare ones 0.4 and less
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
    """The share of points (N, 2) that lie within the convex hull of a mask, of its probability
    (S, S); what a shield's rim goes round, and what shows through a window, lies within too."""
    mask = np.argwhere(probability > 0.5)[:, ::-1].astype(np.int32)
    within = np.zeros(probability.shape, np.uint8)
    if len(mask):
        cv2.fillConvexPoly(within, cv2.convexHull(mask), 1)
    columns, rows = points.round().astype(int).clip(0, len(within) - 1).T
    return float(within[rows, columns].mean())


class Chain:
    """The four networks, ready to restore; fp32, one picture at a time, so that the same picture
    gives the same pixels whatever it is sent with.

    Args:
        networks: by name, in eval mode; each sees the face at its own `image_size`.

    Attributes:
        size: side of the canonical frame in pixels, the inpainting network's.
    """

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        self.networks, self.size = networks, networks["inpainting"].image_size

    @classmethod
    def load(cls, folder: Path) -> "Chain":
        """The chain of the networks that the training stages stored under `folder`.

        Sets torch's number of threads, on which the last bits of its answers depend.

        Raises:
            StoredModelError: when one is missing or damaged.
        """
        torch.set_num_threads(THREADS)
        return cls({name: load_network(folder / name) for name in NETWORKS})

    def seen(self, crop: np.ndarray, name: str) -> Tensor:
        """A crop (S, S, 3) uint8 as the network `name` sees it, (1, 3, s, s) in [0, 1]."""
        return _tensor(_resized(crop, self.networks[name].image_size))

    @torch.inference_mode()
    def _find_landmarks(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        seen = _tensor(crop)
        straight, turned = self.networks["landmarks"](torch.cat([seen, seen.flip(3)])).numpy()
        turned = mirrored(turned, len(crop))
        mean = (straight + turned) / 2
        right, left = mean[list(OUTER_EYE_CORNERS)]
        apart = np.linalg.norm(straight - turned, axis=1).mean()
        return mean, float(apart / max(float(np.linalg.norm(right - left)), 1.0))

    def landmarks(self, crop: np.ndarray) -> np.ndarray:
        """Landmarks (68, 2) of a crop (S, S, 3) uint8, the mean of its and its mirror image's."""
        size = self.networks["landmarks"].image_size
        return move_points(self._find_landmarks(_resized(crop, size))[0], resizing(size, len(crop)))

    @torch.inference_mode()
    def _masks(self, straight: np.ndarray, turned: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Probability of mask (S, S) and the detection's confidence in one crop, and in another,
        which the network sees mirrored."""
        seen = [self.seen(crop, "segmentation") for crop in (straight, turned)]
        found, scores = self.networks["segmentation"](torch.cat([seen[0], seen[1].flip(3)]))
        masks = [_resized(m.numpy(), len(straight)) for m in (found[0], found[1].flip(1))]
        return list(zip(masks, scores.tolist(), strict=True))

    def segment(self, crop: np.ndarray) -> tuple[np.ndarray, float]:
        """Probability of mask (S, S) and the detection's confidence: the mean of the crop's and
        its mirror image's, or those of the one in which a mask is found."""
        (straight, score), (turned, other) = self._masks(crop, crop)
        if (score < _SEEN) != (other < _SEEN):
            return (straight, score) if score > other else (turned, other)
        return (straight + turned) / 2, (score + other) / 2

    def _turned_too(
        self, picture: np.ndarray, transform: np.ndarray, probability: np.ndarray
    ) -> np.ndarray:
        """The mean of the probability of mask (S, S) in a frame and in the frame turned either way,
        one of them mirrored; on val faces the masks' IoU is 0.964 by it, else 0.963."""
        frame, centre = (self.size, self.size), ((self.size - 1) / 2,) * 2
        turns = [cv2.getRotationMatrix2D(centre, angle, 1) for angle in (_TURNED, -_TURNED)]
        views = self._masks(*(warp(picture, chained(transform, turn), frame) for turn in turns))
        total, count = 2 * probability, np.full(probability.shape, 2.0, np.float32)
        for turn, (found, score) in zip(turns, views, strict=True):
            if score >= _SEEN:
                total += warp(found, invert(turn), frame, beyond=0)
                count += warp(np.ones_like(probability), invert(turn), frame, beyond=0)
        return total / count

    @torch.inference_mode()
    def gender_male(self, crop: np.ndarray) -> float:
        """Probability of 'male'."""
        return float(self.networks["gender"](self.seen(crop, "gender"))[0].sigmoid())

    @torch.inference_mode()
    def fill(
        self,
        crop: np.ndarray,
        hole: np.ndarray,
        landmarks: np.ndarray,
        gender_male: float,
        latent: Tensor | None = None,
    ) -> np.ndarray:
        """The crop (S, S, 3) uint8 with its hole (S, S) bool filled.

        The hole holds all that is not known: what the mask hides, and what the picture does not
        show.

        Args:
            gender_male: probability of 'male'; NaN where nothing is known.
            latent: z, standard normal, of one plausible face; None fills in the most plausible.
        """
        generator = self.networks["inpainting"]
        filled = generator(
            _tensor(crop),
            torch.from_numpy(hole)[None, None].float(),
            torch.from_numpy(landmarks.astype(np.float32))[None],
            torch.tensor([2 * gender_male - 1], dtype=torch.float32),
            torch.zeros(1, generator.latent) if latent is None else latent[None],
        )
        pixels = filled[0].clamp(0, 1).mul(255).round().byte()
        return toned_like(crop, pixels.permute(1, 2, 0).contiguous().numpy(), hole)

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
            box: x0, y0, x1, y1 of the face in the picture; None for a picture of one face.
            valid: (H, W) bool, false on padding; None where all pixels are the picture's.
            own: (H, W) bool, false where another face lies, whose mask is not this one's.
        """
        height, width = picture.shape[:2]
        valid = np.ones((height, width), bool) if valid is None else valid
        nothing = np.zeros((height, width), bool)
        try:
            if min(height, width) < SMALLEST_PICTURE:
                raise PictureError(
                    f"the picture is {width} x {height} pixels; at least {SMALLEST_PICTURE} are "
                    "needed each way"
                )
            seen_at = self.networks["landmarks"].image_size
            transform, landmarks = align(picture, self._find_landmarks, seen_at, box)
            transform = chained(transform, resizing(seen_at, self.size))
        except PictureError as error:
            answer = FaceAnswer(
                "skipped", str(error), (0.0, 0.0, float(width), float(height)), None, 0.5, 0.0, 0.0
            )
            return untouched(picture, nothing, answer, options)
        frame = (self.size, self.size)
        crop = warp(picture, transform, frame)
        male = self.gender_male(crop)
        probability, score = self.segment(crop)
        for _ in range(WIDENINGS):
            wider, least = next_frame(probability, transform, picture.shape)
            if wider is None:
                break
            seen = warp(picture, wider, frame)
            found, confidence = self.segment(seen)
            if not shows_more(probability, transform, found, wider, least):
                break
            transform, crop, probability, score = wider, seen, found, confidence
        if score >= _LEAST_SCORE:
            probability = self._turned_too(picture, transform, probability)
        if own is not None:
            probability = probability * shown(own, transform, frame)
        points = move_points(landmarks, transform)
        fraction = float((probability > 0.5).mean())
        corners = (*landmarks.min(axis=0).tolist(), *landmarks.max(axis=0).tolist())
        if (
            score < _LEAST_SCORE
            or fraction < _SMALLEST_MASK
            or _share_within(probability, points[MOUTH]) < _LEAST_MOUTH
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
        covered, seen = with_missed_pieces(crop, probability), shown(valid, transform, frame)
        hole = frame_hole(covered) | ~seen
        guide = (hole, points, assumed)
        noise = torch.Generator().manual_seed(options.seed)
        latent = self.networks["inpainting"].latent
        drawn = torch.randn(options.samples, latent, generator=noise)
        pasted, *samples = (
            paste_back(picture, self.fill(crop, *guide, z), covered, transform)
            for z in (None, *drawn)
        )
        answer = FaceAnswer("restored", "", corners, landmarks, male, fraction, score)
        others = tuple(sample.picture for sample in samples)
        mask = picture_mask(probability, transform, picture.shape)
        return Restoration(pasted.picture, mask, pasted.hole, [answer], others)
