"""The embedded statistical face model, from which synthetic faces are sampled.

A small active appearance model (Cootes, Edwards & Taylor, "Active appearance models", ECCV 1998 and
PAMI 2001).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.face_model.class_mixture import AGE_BANDS, ClassMixture, FaceLabels
from unmask.face_model.glasses import draw_glasses
from unmask.face_model.hair import HairSharpener
from unmask.face_model.linear_basis import LinearBasis
from unmask.face_model.photographic import (
    background,
    fine_texture,
    jitter_roll,
    simulate_camera,
)
from unmask.face_model.piecewise_affine import triangle_map, triangulate, warp_maps
from unmask.face_model.texture_space import (
    TextureSpace,
    frame_to_pixels,
    frame_to_texels,
    mesh,
)

EMBEDDED = Path(__file__).with_name("appearance_model.npz")
SCHEMA = 1  # version of the stored file
_TEMPERATURE = 0.75  # scale of the covariance that codes are sampled with
_DETAIL = 0.5  # amplitude of the fine texture, in the residual's standard deviations
_GLASSES = 0.15  # share of faces
_MATTE_LEVEL = 150  # grey level of the smoothed matte, above which a texel is head
_MATTE_SMOOTHING, _MATTE_BLUR = 0.025, 0.009  # sigmas in widths of the image
_HOLE = 0.01  # area below which a hole in the matte is filled, in areas of the image
#: Upper and lower landmarks of the inner lips and the eyelids.
_LIPS_AND_LIDS = ((61, 67), (62, 66), (63, 65), (37, 41), (38, 40), (43, 47), (44, 46))


@dataclass(frozen=True)
class SampledFace:
    """A synthetic face.

    Attributes:
        image: (size, size, 3) uint8 RGB, the canonical frame.
        landmarks: (68, 2) in iBUG-68 order, in pixels; x = 3.0 is the centre of column 3.
        gender: 'male', 'female', or None where the model's class has none.
        age: in years.
        ethnicity: as the fitted data names it.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    gender: str | None
    age: int | None
    ethnicity: str | None


class AppearanceModel:
    """A linear shape model, a linear shape-free texture model, and a joint Gaussian per class."""

    def __init__(
        self,
        space: TextureSpace,
        shape: LinearBasis,
        texture: LinearBasis,
        mixture: ClassMixture,
        detail: NDArray[np.float32],
        about: dict[str, Any],
    ) -> None:
        """Put a model together from what `fit` or `load` provides.

        Args:
            space: how textures are packed into vectors.
            shape: principal components of landmarks (136,), in units of the frame.
            texture: principal components of vectors of `space`.
            mixture: Gaussians of shape and texture codes, joined.
            detail: (s, s) standard deviation of the luma that the components leave out.
            about: facts on the data and the fit, stored with the model.
        """
        self.space, self.shape, self.texture, self.mixture = space, shape, texture, mixture
        self.detail = detail
        self.about = {"schema": SCHEMA, **about}
        weight = texture.weight[: space.luma].reshape(space.size, space.size)
        self._hair = HairSharpener(weight)
        self._mean_texels = frame_to_texels(mesh(shape.mean.reshape(68, 2)), space.size)
        self._triangles = triangulate(self._mean_texels)

    def sample(self, rng: np.random.Generator, size: int = 128) -> SampledFace:
        """Sample a face in a frame of side `size` pixels; the state of `rng` determines it."""
        labels, code = self.mixture.sample(rng, _TEMPERATURE)
        split = len(self.shape.spread)
        points = _untangled(self.shape.decode(code[:split]).reshape(68, 2))
        texture = self.space.unpack(self.texture.decode(code[split:]))
        texture[..., 3] = self._hair.trim_matte(texture[..., :3], texture[..., 3])
        head = texture[..., 3] > 127
        texture[..., :3] = self._hair.sharpen_hairline(texture[..., :3], head, rng)
        texture[..., :3] += (_DETAIL * self.detail * fine_texture(self.space.size, rng))[..., None]
        layers, landmarks = self.render(texture, jitter_roll(mesh(points), rng), size)
        image = _over(layers, background(size, rng))
        if rng.random() < _GLASSES:
            image = draw_glasses(image, landmarks, rng)
        photo = simulate_camera(image, rng)
        return SampledFace(photo, landmarks, labels.gender, _age(labels, rng), labels.ethnicity)

    def render(
        self, texture: NDArray[np.float32], vertices: NDArray[np.float32], size: int
    ) -> tuple[np.ndarray, NDArray[np.float32]]:
        """Warp a texture from the mean shape to another shape.

        Args:
            texture: (s, s, c) in the mean shape.
            vertices: (84, 2) mesh of the other shape, in units of the frame.
            size: side of the image in pixels.

        Returns:
            The image (size, size, c) float32, and the landmarks (68, 2) in its pixels.
        """
        target = frame_to_pixels(vertices, size)
        owner = triangle_map(target, self._triangles, (size, size))
        maps = warp_maps(target, self._mean_texels, self._triangles, owner)
        image = cv2.remap(texture, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return image, target[:68].copy()

    def save(self, path: str | Path) -> None:
        """Write the model as one compressed .npz file without pickles."""
        mixture = self.mixture
        about = {**self.about, "classes": mixture.classes, "texture_size": self.space.size}
        arrays = {**self.shape.arrays("shape"), **self.texture.arrays("texture")}
        np.savez_compressed(
            path,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            share=mixture.share,
            means=mixture.means.astype(np.float16),
            which=mixture.gender_of,
            styles=mixture.styles.astype(np.float16),
            style_share=mixture.style_share,
            roots=mixture.roots.astype(np.float16),
            detail=self.detail.astype(np.float16),
            **arrays,  # type: ignore[arg-type]  # the stub takes them for allow_pickle
        )

    @classmethod
    def load(cls, path: str | Path) -> AppearanceModel:
        """Read a model that `save` wrote.

        Raises:
            ValueError: for a file of another schema.
        """
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        about = json.loads(arrays["about"].tobytes())
        if about.pop("schema", None) != SCHEMA:
            raise ValueError(f"{path} is not an appearance model of schema {SCHEMA}")
        mixture = ClassMixture(
            classes=[FaceLabels(*labels) for labels in about.pop("classes")],
            share=arrays["share"],
            means=arrays["means"].astype(np.float32),
            gender_of=arrays["which"],
            styles=arrays["styles"].astype(np.float32),
            style_share=arrays["style_share"],
            roots=arrays["roots"].astype(np.float32),
        )
        return cls(
            TextureSpace(about.pop("texture_size")),
            LinearBasis.of_arrays("shape", arrays),
            LinearBasis.of_arrays("texture", arrays),
            mixture,
            arrays["detail"].astype(np.float32),
            about,
        )


def _over(layers: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Composite a head, RGB and matte (size, size, 4), over a background (size, size, 3)."""
    head, cover = layers[..., :3], _in_one_piece(layers[..., 3])[..., None]
    return behind + (head - behind) * cover


def _in_one_piece(matte: np.ndarray) -> np.ndarray:
    """Coverage, 0 to 1, by a matte, 0 to 255, without its small islands and holes."""
    size = matte.shape[0]
    matte = cv2.GaussianBlur(matte, (0, 0), _MATTE_SMOOTHING * size)
    head: np.ndarray = (matte > _MATTE_LEVEL).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(head, connectivity=4)
    head = pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]) if len(stats) > 1 else head > 0
    _, gaps, stats, _ = cv2.connectedComponentsWithStats(1 - head.astype(np.uint8), connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] < _HOLE * size**2
    head |= filled[gaps]
    return cv2.GaussianBlur(head.astype(np.float32), (0, 0), _MATTE_BLUR * size)


def _untangled(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Landmarks (68, 2), changed in place so that lips and eyelids do not cross."""
    for upper, lower in _LIPS_AND_LIDS:
        if points[upper, 1] > points[lower, 1]:
            points[[upper, lower], 1] = points[[upper, lower], 1].mean()
    return points


def _age(labels: FaceLabels, rng: np.random.Generator) -> int | None:
    if labels.band is None:
        return None
    low, high = AGE_BANDS[labels.band]
    return int(rng.integers(low, high + 1))
