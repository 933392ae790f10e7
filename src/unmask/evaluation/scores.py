"""Scores of filled pictures, face by face and in the mean."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unmask.evaluation.evaluation_set import box_of
from unmask.evaluation.feature_network import pooled_features
from unmask.evaluation.identity_network import embeddings, is_installed
from unmask.evaluation.perceptual import FRAME, PerceptualReference
from unmask.geometry.frame import canonical_transform, scale_of
from unmask.metrics.frechet import frechet_distance
from unmask.metrics.hole import hole_l1, hole_psnr, hole_ssim
from unmask.metrics.identity import identity_distance, same_person_share
from unmask.metrics.psnr import picture_psnr
from unmask.metrics.sharpness import hole_detail, sharpness
from unmask.metrics.ssim import picture_ms_ssim, picture_ssim

_BEST_PSNR = 60.0  # dB; an exact match would be infinite, which no mean survives


@dataclass(frozen=True)
class HoleScores:
    """Scores of N filled pictures over the hole, each (N,); `frechet` is of the whole set.

    `detail` and `true_detail` are the high-pass energies that the sharpness of any faces is made
    of. `identity` is of the whole pictures, and None where its network is not installed.
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
        """Of the faces `members`; NaN where their true holes show no detail."""
        return sharpness(self.detail[members], self.true_detail[members])

    def means(self) -> dict[str, float]:
        """The table's row."""
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
    """The faces that filled pictures are scored against.

    Pictures of several sizes are padded to one; each is scored in the box of its valid pixels.

    Args:
        images: (N, H, W, 3) uint8.
        valid, masks: (N, H, W) bool; the region scored is both.
        landmarks: (N, 68, 2), by which faces are framed, and aligned to tell people apart.
        identity: whether people are told apart, which takes longest.
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
        found = [
            hole_detail(*(a[i : i + 1, *box] for a in (pictures, self.region)), scale)
            for i, (box, scale) in enumerate(zip(self._boxes, self._scale[:, None], strict=True))
        ]
        return np.concatenate(found)

    def _identity(self, filled: np.ndarray) -> np.ndarray | None:
        if self._people is None:
            return None
        return identity_distance(embeddings(filled, self._landmarks), self._people)

    def _each(
        self, metric: Callable[..., np.ndarray | None], filled: np.ndarray, where: np.ndarray
    ) -> np.ndarray | None:
        found = [
            metric(*(a[i : i + 1, rows, columns] for a in (filled, self.images, where)))
            for i, (rows, columns) in enumerate(self._boxes)
        ]
        return None if any(value is None for value in found) else np.concatenate(found)

    def psnr(self, filled: np.ndarray) -> np.ndarray:
        """Hole PSNR (N,) alone, dB, of pictures (N, H, W, 3) uint8 with their hole filled."""
        return np.minimum(self._each(hole_psnr, filled, self.region), _BEST_PSNR)

    def score(self, filled: np.ndarray) -> HoleScores:
        """Score pictures (N, H, W, 3) uint8 with their hole filled.

        The Frechet and the perceptual distance compare the true pictures with the filled ones, of
        which only the region is taken, so that they tell the fills apart and nothing else.
        """
        pasted = np.where(self.region[..., None], filled, self.images)
        return HoleScores(
            psnr=self.psnr(filled),
            ssim=self._each(hole_ssim, filled, self.region),
            l1=self._each(hole_l1, filled, self.region),
            perceptual=self._perceptual.distances(pasted),
            detail=self._detail_of(filled),
            true_detail=self._detail,
            picture_psnr=np.minimum(self._each(picture_psnr, filled, self.valid), _BEST_PSNR),
            picture_ssim=self._each(picture_ssim, filled, self.valid),
            picture_ms_ssim=self._each(picture_ms_ssim, filled, self.valid),
            frechet=frechet_distance(pooled_features(pasted), self._features),
            identity=self._identity(filled),
        )
