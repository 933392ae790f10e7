"""The embedded statistical face model, from which synthetic faces are sampled.

A small active appearance model: Cootes, Edwards & Taylor, "Active appearance models", ECCV 1998
and PAMI 2001.
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
from unmask.face_model.glasses import wear_glasses
from unmask.face_model.hair import Hairdresser
from unmask.face_model.linear_basis import LinearBasis
from unmask.face_model.photographic import fine_texture, photograph, place, surroundings
from unmask.face_model.piecewise_affine import triangle_map, triangulate, warp_maps
from unmask.face_model.texture_space import (
    TextureSpace,
    frame_to_pixels,
    frame_to_texels,
    mesh,
)

EMBEDDED = Path(__file__).with_name("appearance_model.npz")
SCHEMA = 1
_TEMPERATURE = 0.75
_DETAIL = 0.5
_GLASSES = 0.15
_MATTE_LEVEL, _MATTE_SMOOTHING, _MATTE_BLUR, _HOLE = 150, 0.025, 0.009, 0.01
_LIPS = ((61, 67), (62, 66), (63, 65), (37, 41), (38, 40), (43, 47), (44, 46))


@dataclass(frozen=True)
class SampledFace:
    """A synthetic face.

    image: RGB uint8 (size, size, 3) in the canonical frame; landmarks: (68, 2) iBUG points in
    pixels of the image, x = 3.0 being the centre of column 3; age in years.
    """

    image: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    gender: str | None
    age: int | None
    ethnicity: str | None


class AppearanceModel:
    """Linear shape, linear shape-free texture and their joint Gaussian per class of face."""

    def __init__(
        self,
        space: TextureSpace,
        shape: LinearBasis,
        texture: LinearBasis,
        mixture: ClassMixture,
        detail: NDArray[np.float32],
        about: dict[str, Any],
    ) -> None:
        self.space, self.shape, self.texture, self.mixture = space, shape, texture, mixture
        self.detail = detail
        self.about = {"schema": SCHEMA, **about}
        weight = texture.weight[: space.luma].reshape(space.size, space.size)
        self._hairdresser = Hairdresser(weight)
        self._mean_texels = frame_to_texels(mesh(shape.mean.reshape(68, 2)), space.size)
        self._triangles = triangulate(self._mean_texels)

    def sample(self, rng: np.random.Generator, size: int = 128) -> SampledFace:
        """Draw a face, its photo `size` pixels wide. The same generator state, the same face."""
        labels, code = self.mixture.draw(rng, _TEMPERATURE)
        split = len(self.shape.spread)
        points = _untangled(self.shape.decode(code[:split]).reshape(68, 2))
        texture = self.space.unpack(self.texture.decode(code[split:]))
        texture[..., 3] = self._hairdresser.trim(texture[..., :3], texture[..., 3])
        head = texture[..., 3] > 127
        texture[..., :3] = self._hairdresser.sharpen_hairline(texture[..., :3], head, rng)
        texture[..., :3] += (_DETAIL * self.detail * fine_texture(self.space.size, rng))[..., None]
        layers, landmarks = self.render(texture, place(mesh(points), rng), size)
        image = _over(layers, surroundings(size, rng))
        if rng.random() < _GLASSES:
            image = wear_glasses(image, landmarks, rng)
        image = photograph(image, rng)
        return SampledFace(image, landmarks, labels.gender, _age(labels, rng), labels.ethnicity)

    def render(
        self, texture: NDArray[np.float32], vertices: NDArray[np.float32], size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Warp a texture (s, s, 3) of the mean shape to mesh vertices in units of the frame.

        Returns the image (size, size, c), and the landmarks (68, 2) in its pixels.
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
        np.savez_compressed(
            path,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            share=mixture.share,
            means=mixture.means.astype(np.float16),
            which=mixture.which,
            styles=mixture.styles.astype(np.float16),
            style_share=mixture.style_share,
            roots=mixture.roots.astype(np.float16),
            detail=self.detail.astype(np.float16),
            **self.shape.arrays("shape"),
            **self.texture.arrays("texture"),
        )

    @classmethod
    def load(cls, path: str | Path) -> AppearanceModel:
        """Read what `save` wrote. Raises ValueError for a file of another schema."""
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        about = json.loads(arrays["about"].tobytes())
        if about.pop("schema", None) != SCHEMA:
            raise ValueError(f"{path} is not an appearance model of schema {SCHEMA}")
        mixture = ClassMixture(
            classes=[FaceLabels(*labels) for labels in about.pop("classes")],
            share=arrays["share"],
            means=arrays["means"].astype(np.float32),
            which=arrays["which"],
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


def _over(layers: NDArray[np.float32], behind: NDArray[np.float32]) -> NDArray[np.float32]:
    """Head (size, size, 3) by its matte, the fourth layer, before what is behind it."""
    head, cover = layers[..., :3], _in_one_piece(layers[..., 3])[..., None]
    return behind + (head - behind) * cover


def _in_one_piece(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cover from 0 to 1 by a matte of 0 to 255, less the crumbs and holes that it has by hair."""
    size = matte.shape[0]
    matte = cv2.GaussianBlur(matte, (0, 0), _MATTE_SMOOTHING * size)
    head = (matte > _MATTE_LEVEL).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(head, connectivity=4)
    head = pieces == 1 + np.argmax(stats[1:, cv2.CC_STAT_AREA]) if len(stats) > 1 else head > 0
    _, gaps, stats, _ = cv2.connectedComponentsWithStats(1 - head.astype(np.uint8), connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] < _HOLE * size**2
    head |= filled[gaps]
    return cv2.GaussianBlur(head.astype(np.float32), (0, 0), _MATTE_BLUR * size)


def _untangled(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lips and lids may touch, not cross."""
    for upper, lower in _LIPS:
        if points[upper, 1] > points[lower, 1]:
            points[[upper, lower], 1] = points[[upper, lower], 1].mean()
    return points


def _age(labels: FaceLabels, rng: np.random.Generator) -> int | None:
    if labels.band is None:
        return None
    low, high = AGE_BANDS[labels.band]
    return int(rng.integers(low, high + 1))
