"""Scores of filled pictures, face by face and in the mean."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unmask.evaluation.feature_network import pooled_features
from unmask.evaluation.identity_network import embeddings, is_installed
from unmask.evaluation.shard import box_of
from unmask.metrics.frechet import frechet_distance
from unmask.metrics.hole import hole_l1, hole_psnr, hole_ssim
from unmask.metrics.identity import identity_distance, same_person_share
from unmask.metrics.ssim import picture_ms_ssim, picture_ssim

_BEST_PSNR = 60.0  # dB; an exact match would be infinite, which no mean survives


@dataclass(frozen=True)
class HoleScores:
    """Scores of N filled pictures over the hole, each (N,); `frechet` is of the whole set.

    `identity` is of the whole pictures, and None where its network is not installed.
    """

    psnr: np.ndarray
    ssim: np.ndarray
    l1: np.ndarray
    picture_ssim: np.ndarray
    picture_ms_ssim: np.ndarray | None
    frechet: float
    identity: np.ndarray | None

    def means(self) -> dict[str, float]:
        """The table's row."""
        row = {
            "hole_psnr": float(self.psnr.mean()),
            "hole_ssim": float(self.ssim.mean()),
            "hole_l1": float(self.l1.mean()),
            "picture_ssim": float(self.picture_ssim.mean()),
            "frechet": self.frechet,
        }
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
        landmarks: (N, 68, 2), by which faces are aligned to tell people apart; None leaves the
            identity out.
    """

    def __init__(
        self,
        images: np.ndarray,
        valid: np.ndarray,
        masks: np.ndarray,
        landmarks: np.ndarray | None = None,
    ) -> None:
        self.images, self.valid, self.region = images, valid, masks & valid
        self._boxes = [box_of(shown) for shown in valid]
        self._landmarks = landmarks
        self._features = pooled_features(images)
        known = landmarks is not None and is_installed()
        self._people = embeddings(images, landmarks) if known else None

    def _identity(self, filled: np.ndarray) -> np.ndarray | None:
        if self._people is None:
            return None
        return identity_distance(embeddings(filled, self._landmarks), self._people)

    def score(self, filled: np.ndarray) -> HoleScores:
        """Score pictures (N, H, W, 3) uint8 with their hole filled.

        The Frechet distance compares the true pictures with the filled ones, of which only the
        region is taken, so that it tells the fills apart and nothing else.
        """
        pasted = np.where(self.region[..., None], filled, self.images)

        def each(metric: Callable[..., np.ndarray | None], where: np.ndarray) -> np.ndarray | None:
            found = [
                metric(*(a[i : i + 1, rows, columns] for a in (filled, self.images, where)))
                for i, (rows, columns) in enumerate(self._boxes)
            ]
            return None if any(value is None for value in found) else np.concatenate(found)

        return HoleScores(
            psnr=np.minimum(each(hole_psnr, self.region), _BEST_PSNR),
            ssim=each(hole_ssim, self.region),
            l1=each(hole_l1, self.region),
            picture_ssim=each(picture_ssim, self.valid),
            picture_ms_ssim=each(picture_ms_ssim, self.valid),
            frechet=frechet_distance(pooled_features(pasted), self._features),
            identity=self._identity(filled),
        )
