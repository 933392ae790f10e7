"""Simple ways to fill the hole under a face mask, for comparison with the product.

Each fill takes a picture, uint8 (H, W, 3), and a hole, bool (H, W), and returns a new picture
in which only the hole is replaced. The hole must also cover pixels that show no face, such as
padding: pass the mask joined with the pixels that are not valid. A fill raises ValueError if a
shape or type is wrong; the two inpainting fills also if the hole covers the whole picture.
Training faces are uint8 (N, H, W, 3) of one size, with their valid pixels, bool (N, H, W).
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from sklearn.decomposition import PCA

INPAINT_RADIUS = 3  # pixels
ROUNDING_VARIANCE = 1 / 12  # of values rounded to integers


def telea(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill by fast marching, radius 3 pixels. Source: Telea, J. Graphics Tools 2004."""
    return _inpaint(image, hole, cv2.INPAINT_TELEA)


def navier_stokes(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill by fluid dynamics, radius 3 pixels. Source: Bertalmio et al., CVPR 2001."""
    return _inpaint(image, hole, cv2.INPAINT_NS)


@dataclass(frozen=True)
class MeanFace:
    """Fills with the mean training face, without blending.

    Attributes:
        face: float32 (H, W, 3), 0..255.
    """

    face: np.ndarray

    @classmethod
    def fit(cls, images: np.ndarray, valid: np.ndarray) -> Self:
        """Average each pixel over the training faces where it is valid.

        A pixel that is never valid takes the mean colour of all valid pixels.

        Args:
            images: training faces, uint8 (N, H, W, 3).
            valid: their valid pixels, bool (N, H, W).

        Raises:
            ValueError: if shapes or types are wrong or no pixel is valid.
        """
        _check(images, valid, dimensions=4)
        if not valid.any():
            raise ValueError("the training faces have no valid pixels")
        count = valid.sum(axis=0)[..., None]
        total = images.sum(axis=0, where=valid[..., None], dtype=np.float64)
        colour = total.sum(axis=(0, 1)) / count.sum()
        return cls(np.where(count > 0, total / np.maximum(count, 1), colour).astype(np.float32))

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Return the picture with the mean face in the hole."""
        return _paste(image, hole, self.face)


@dataclass(frozen=True)
class EigenfaceFill:
    """Fills with the likeliest face of a principal subspace, conditioned on the visible pixels.

    The posterior mean of probabilistic principal component analysis (Tipping and Bishop, 1999):
    the coefficients are a ridge regression of the visible pixels, each regularised by its prior
    variance. A picture without visible pixels takes the mean face.

    Attributes:
        mean: float32 (size, size, 3), 0..255.
        components: float32 (size * size * 3, k), orthonormal columns.
        ridge: float32 (k,), the noise variance divided by each coefficient's prior variance.
    """

    mean: np.ndarray
    components: np.ndarray
    ridge: np.ndarray

    @classmethod
    def fit(
        cls, images: np.ndarray, valid: np.ndarray, components: int = 64, size: int = 64
    ) -> Self:
        """Fit the subspace to training faces reduced to at most size x size pixels.

        Pixels that are not valid are replaced by the mean face.

        Args:
            images: training faces, uint8 (N, H, W, 3).
            valid: their valid pixels, bool (N, H, W).
            components: dimension k of the subspace, 1..N - 1.
            size: largest side of the reduced faces, in pixels.

        Raises:
            ValueError: if shapes or types are wrong, no pixel is valid, or k is too large.
        """
        face = MeanFace.fit(images, valid).face
        size = min(size, *face.shape[:2])
        mean = _shrink(face, size)
        if not 0 < components < min(len(images), mean.size):
            raise ValueError(f"{components} components need more training faces or pixels")
        faces = np.empty((len(images), *mean.shape), np.float32)
        for index, (image, usable) in enumerate(zip(images, valid, strict=True)):
            faces[index] = np.where(_covered(usable, size)[..., None], _shrink(image, size), mean)
        pca = PCA(components, copy=False, svd_solver="randomized", random_state=0)
        pca.fit(faces.reshape(len(faces), -1))
        noise = max(pca.noise_variance_, ROUNDING_VARIANCE)
        ridge = noise / np.maximum(pca.explained_variance_ - noise, noise * 1e-6)
        return cls(pca.mean_.reshape(mean.shape), pca.components_.T.copy(), ridge)

    def fill(self, image: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """Return the picture with the likeliest face in the hole."""
        _check(image, hole, dimensions=3)
        size = len(self.mean)
        visible = np.repeat(_covered(~hole, size).ravel(), 3)
        basis = self.components[visible]
        residual = (_shrink(image, size) - self.mean).ravel()[visible]
        coefficients = np.linalg.solve(basis.T @ basis + np.diag(self.ridge), basis.T @ residual)
        face = self.mean + (self.components @ coefficients).reshape(self.mean.shape)
        return _paste(image, hole, face)


def _inpaint(image: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    _check(image, hole, dimensions=3)
    if hole.all():
        raise ValueError("the hole covers the whole picture")
    # OpenCV averages some hole pixels near the picture's border too: they take the mean colour.
    colour = image[~hole].mean(axis=0).astype(np.uint8)
    blanked = np.where(hole[..., None], colour, image)
    return cv2.inpaint(blanked, hole.astype(np.uint8), INPAINT_RADIUS, method)


def _shrink(image: np.ndarray, size: int) -> np.ndarray:
    """A picture resized to float32 (size, size, ...) by averaging over areas."""
    return cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)


def _covered(pixels: np.ndarray, size: int) -> np.ndarray:
    """Which of size x size areas, bool, hold only pixels that are true in bool (H, W)."""
    return _shrink(pixels, size) > 0.999


def _paste(image: np.ndarray, hole: np.ndarray, face: np.ndarray) -> np.ndarray:
    _check(image, hole, dimensions=3)
    face = cv2.resize(face, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    face = np.clip(np.rint(face), 0, 255).astype(np.uint8)
    return np.where(hole[..., None], face, image)


def _check(images: np.ndarray, pixels: np.ndarray, dimensions: int) -> None:
    if images.ndim != dimensions or images.shape != (*pixels.shape, 3):
        raise ValueError(f"shapes {images.shape} and {pixels.shape} do not fit together")
    if images.dtype != np.uint8 or pixels.dtype != bool:
        raise ValueError(f"types must be uint8 and bool, not {images.dtype} and {pixels.dtype}")
