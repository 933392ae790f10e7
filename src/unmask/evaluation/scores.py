"""Scores of filled pictures, face by face and in the mean."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from unmask.evaluation.evaluation_set import box_of
from unmask.evaluation.feature_network import pooled_features
from unmask.evaluation.identity_network import embeddings, is_installed
from unmask.evaluation.perceptual import PerceptualReference
from unmask.geometry.frame import canonical_transform, scale_of
from unmask.metrics.frechet import frechet_distance
from unmask.metrics.identity import identity_distance, same_person_share
from unmask.metrics.region import (
    BEST_PSNR,
    FRAME,
    region_detail,
    region_l1,
    region_psnr,
    sharpness,
)
from unmask.metrics.ssim import picture_ms_ssim, region_ssim

_Score = TypeVar("_Score")


@dataclass(frozen=True)
class HoleScores:
    """Scores of N filled pictures, face by face, and the Frechet distance of the set.

    Attributes:
        psnr: (N,) dB over the hole, at most 60.
        ssim: (N,) over the hole, -1..1.
        l1: (N,) over the hole, 0..1.
        perceptual: (N,) perceptual distance over the hole, 0..4.
        detail: (N,) high-pass energy in the filled hole, 0..255.
        true_detail: (N,) high-pass energy in the true hole, 0..255.
        picture_psnr: (N,) dB over all valid pixels, at most 60.
        picture_ssim: (N,) over all valid pixels, -1..1.
        picture_ms_ssim: (N,) of the whole pictures, 0..1; None where one is under 176 pixels.
        frechet: squared Frechet distance of the filled from the true pictures, 0 or more.
        identity: (N,) distance of face embeddings, 0 or more; None where its network is not
            installed.
    """

    psnr: np.ndarray
    ssim: np.ndarray
    l1: np.ndarray
    perceptual: np.ndarray
    detail: np.ndarray
    true_detail: np.ndarray
    picture_psnr: np.ndarray
    picture_ssim: np.ndarray
    picture_ms_ssim: np.ndarray | None
    frechet: float
    identity: np.ndarray | None

    def sharpness(self, members: np.ndarray | slice = slice(None)) -> float:
        """Sharpness of the faces `members`; NaN where their true holes have no detail."""
        return sharpness(self.detail[members], self.true_detail[members])

    def means(self) -> dict[str, float]:
        """The means by name, as metrics.json shows them."""
        row = {
            "hole_psnr": float(self.psnr.mean()),
            "hole_ssim": float(self.ssim.mean()),
            "hole_l1": float(self.l1.mean()),
            "perceptual": float(self.perceptual.mean()),
            "picture_psnr": float(self.picture_psnr.mean()),
            "picture_ssim": float(self.picture_ssim.mean()),
            "frechet": self.frechet,
        }
        if np.isfinite(sharp := self.sharpness()):
            row["sharpness"] = sharp
        if self.picture_ms_ssim is not None:
            row["picture_ms_ssim"] = float(self.picture_ms_ssim.mean())
        if self.identity is not None:
            row["identity_distance"] = float(self.identity.mean())
            row["same_person"] = same_person_share(self.identity)
        return row


class TrueFaces:
    """The true faces that filled pictures are scored against.

    Pictures of several sizes are padded to one; each is scored in the box of its valid pixels.

    Args:
        images: (N, H, W, 3) uint8 RGB.
        valid: (N, H, W) bool, false on padding.
        masks: (N, H, W) bool; the hole is where a mask's pixels are valid.
        landmarks: (N, 68, 2) pixels, by which faces are framed, and aligned to be embedded.
        identity: whether the identity distance is measured, which takes longest.
    """

    def __init__(
        self,
        images: np.ndarray,
        valid: np.ndarray,
        masks: np.ndarray,
        landmarks: np.ndarray,
        *,
        identity: bool = True,
    ) -> None:
        self.images, self.valid, self.region = images, valid, masks & valid
        self._boxes = [box_of(shown) for shown in valid]
        self._landmarks = landmarks
        self._scale = np.array([scale_of(canonical_transform(p, FRAME)) for p in landmarks])
        self._features = pooled_features(images)
        self._perceptual = PerceptualReference(images, self.region, landmarks)
        self._detail = self._detail_of(images)
        known = identity and is_installed()
        self._people = embeddings(images, landmarks) if known else None

    def _detail_of(self, pictures: np.ndarray) -> np.ndarray:
        details = [
            region_detail(pictures[i : i + 1, *box], self.region[i : i + 1, *box], scale)
            for i, (box, scale) in enumerate(zip(self._boxes, self._scale[:, None], strict=True))
        ]
        return np.concatenate(details)

    def _identity(self, filled: np.ndarray) -> np.ndarray | None:
        if self._people is None:
            return None
        return identity_distance(embeddings(filled, self._landmarks), self._people)

    def _each(
        self, metric: Callable[..., _Score], filled: np.ndarray, region: np.ndarray
    ) -> list[_Score]:
        """The metric of each picture, without its padding, as a batch of one."""
        return [
            metric(*(a[i : i + 1, rows, columns] for a in (filled, self.images, region)))
            for i, (rows, columns) in enumerate(self._boxes)
        ]

    def _scores(
        self, metric: Callable[..., np.ndarray], filled: np.ndarray, region: np.ndarray
    ) -> np.ndarray:
        return np.concatenate(self._each(metric, filled, region))

    def _ms_ssim(self, filled: np.ndarray) -> np.ndarray | None:
        scores = self._each(picture_ms_ssim, filled, self.valid)
        large_enough = [score for score in scores if score is not None]
        return np.concatenate(large_enough) if len(large_enough) == len(scores) else None

    def psnr(self, filled: np.ndarray) -> np.ndarray:
        """PSNR over the hole alone.

        Args:
            filled: (N, H, W, 3) uint8 RGB, with their holes filled.

        Returns:
            (N,) dB, at most 60.
        """
        return np.minimum(self._scores(region_psnr, filled, self.region), BEST_PSNR)

    def score(self, filled: np.ndarray) -> HoleScores:
        """Score filled pictures.

        For the Frechet and the perceptual distance the true picture is put around each filled hole,
        so that they compare what was filled in and nothing else.

        Args:
            filled: (N, H, W, 3) uint8 RGB, with their holes filled.
        """
        composites = np.where(self.region[..., None], filled, self.images)
        return HoleScores(
            psnr=self.psnr(filled),
            ssim=self._scores(region_ssim, filled, self.region),
            l1=self._scores(region_l1, filled, self.region),
            perceptual=self._perceptual.distances(composites),
            detail=self._detail_of(filled),
            true_detail=self._detail,
            picture_psnr=np.minimum(self._scores(region_psnr, filled, self.valid), BEST_PSNR),
            picture_ssim=self._scores(region_ssim, filled, self.valid),
            picture_ms_ssim=self._ms_ssim(filled),
            frechet=frechet_distance(pooled_features(composites), self._features),
            identity=self._identity(filled),
        )
