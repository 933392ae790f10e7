"""Fits the appearance model to any collection of framed faces with landmarks.

Cootes, Edwards & Taylor, "Active appearance models", PAMI 2001: a linear model of shape, a linear
model of shape-free texture, and their joint distribution. The hidden part of a face is sampled,
given the visible part, from the probabilistic PCA of the faces that show more (Tipping & Bishop,
"Probabilistic principal component analysis", 1999), so that tight and wide crops can be mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.face_model.appearance_model import AppearanceModel
from unmask.face_model.class_mixture import FaceLabels, fit_mixture
from unmask.face_model.glasses_detection import without_glasses
from unmask.face_model.head_matte import HeadMatting
from unmask.face_model.hidden_texels import fill_by_sampling, fill_from_donors, fill_with_mean
from unmask.face_model.linear_basis import LinearBasis, principal_components
from unmask.face_model.piecewise_affine import triangle_map, triangulate, warp_maps
from unmask.face_model.texture_space import TextureSpace, frame_to_pixels, frame_to_texels, mesh

#: Image, landmarks, valid pixels, gender, age and ethnicity of a face; see `fit`.
AnnotatedFace = tuple[
    NDArray[np.uint8],
    NDArray[np.float32],
    NDArray[np.bool_] | None,
    str | None,
    int | None,
    str | None,
]

_WIDE_SHARE = 0.9  # visible texels of a wide crop, over those of the widest
_INNER_WEIGHT, _OUTER_WEIGHT, _MATTE_WEIGHT = 1.0, 0.55, 0.5  # of face, surroundings and matte


def fit(
    faces: Iterable[AnnotatedFace],
    *,
    texture_size: int = 128,
    shape_components: int = 24,
    texture_components: int = 280,
    fill_rounds: int = 2,
    seed: int = 0,
    origin: str = "",
    progress: Callable[[str], None] = lambda _: None,
) -> AppearanceModel:
    """Fit the model to faces in the canonical frame.

    The same faces and seed give the same model. In memory are the faces as PNG, later as uint8
    vectors and masks of 28 kB each.

    Args:
        faces: tuples of image (n, n, 3) uint8 RGB, landmarks (68, 2) in its pixels, valid pixels
            (n, n) or None for all, 'male', 'female' or None, age in years or None, and ethnicity
            or None.
        texture_size: side of the textures in texels, a multiple of 8.
        shape_components: number of components of shape.
        texture_components: number of components of texture.
        fill_rounds: how often hidden parts are filled and the texture model is fitted again.
        seed: of all that is random.
        origin: name of the data, stored with the model.
        progress: called with one line after each step.

    Raises:
        ValueError: for fewer than 8 faces.
    """
    images, shapes, masks, labels = [], [], [], []
    for image, landmarks, valid, gender, age, ethnicity in faces:
        size = image.shape[0]
        images.append(cv2.imencode(".png", image)[1])
        masks.append(None if valid is None else np.packbits(valid))
        shapes.append((np.asarray(landmarks, np.float32) + 0.5) / size)
        labels.append(FaceLabels.of(gender, age, ethnicity))
    if len(images) < 8:
        raise ValueError(f"an appearance model needs at least 8 faces, not {len(images)}")
    progress(f"read {len(images)} faces")
    rng = np.random.default_rng(seed)
    shape_rows = np.stack(shapes).reshape(len(shapes), -1)
    mean_shape = shape_rows.mean(0).reshape(68, 2)
    space = TextureSpace(texture_size)
    textures, visible = _shape_free(images, masks, shapes, mean_shape, space)
    del images, masks
    progress("warped to the mean shape")
    kept = without_glasses(textures, frame_to_texels(mean_shape, space.size), space)
    textures, visible, shape_rows = textures[kept], visible[kept], shape_rows[kept]
    labels = [label for label, keep in zip(labels, kept, strict=True) if keep]

    shape_basis = principal_components(shape_rows, shape_components, rng)
    weight = _texel_weight(mean_shape, space)
    shown = visible[:, space.matte :].mean(1)
    is_wide = shown >= _WIDE_SHARE * np.quantile(shown, 0.98)
    wide, tight = np.flatnonzero(is_wide), np.flatnonzero(~is_wide)
    genders = np.unique([str(label.gender) for label in labels], return_inverse=True)[1]
    fill_with_mean(textures, visible, wide, space)
    basis = principal_components(textures[wide], texture_components, rng, weight)
    progress(f"first basis from {len(wide)} faces")
    for _ in range(fill_rounds):
        fill_by_sampling(textures, visible, wide, basis, space, rng)
        fill_from_donors(textures, visible, tight, wide, genders, basis, space, rng)
        basis = principal_components(textures, texture_components, rng, weight)
        progress(f"filled and refitted, {basis.kept:.3f} of the variance kept")

    detail = _residual_deviation(textures, visible, basis, space)
    joint = np.concatenate([shape_basis.encode(shape_rows), basis.encode(textures)], 1)
    style_features = _style_features(joint[:, -len(basis.spread) :], basis, space)
    mixture = fit_mixture(joint, labels, style_features, rng)
    return AppearanceModel(
        space=space,
        shape=shape_basis,
        texture=basis,
        mixture=mixture,
        detail=detail,
        about={
            "faces": len(labels),
            "origin": origin,
            "shape_variance_kept": round(shape_basis.kept, 4),
            "texture_variance_kept": round(basis.kept, 4),
        },
    )


def _shape_free(
    images: list, masks: list, shapes: list, mean_shape: NDArray, space: TextureSpace
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Textures warped to the mean shape (n, length), and which of their values are known.

    Images are PNG and masks packed bits or None; shapes (68, 2) are in units of the frame.
    """
    size = space.size
    target = frame_to_texels(mesh(mean_shape), size)
    matting = HeadMatting(target[:68], size)
    triangles = triangulate(target)
    owner = triangle_map(target, triangles, (size, size))
    textures = np.empty((len(images), space.length), np.uint8)
    visible = np.empty((len(images), space.length), np.bool_)
    for row, (encoded, packed, shape) in enumerate(zip(images, masks, shapes, strict=True)):
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert image is not None
        side = image.shape[0]
        photo = np.full((side, side), 255, np.uint8)
        if packed is not None:
            photo *= np.unpackbits(packed, count=side * side).reshape(side, side)
        maps = warp_maps(target, frame_to_pixels(mesh(shape), side), triangles, owner)
        texture: np.ndarray = cv2.remap(
            image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        shown: np.ndarray = cv2.remap(
            photo, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        shown = cv2.erode(shown, np.ones((5, 5), np.uint8)) > 250
        matte = matting.matte(texture, shown)
        textures[row] = space.pack(texture, matte)
        visible[row] = space.pack_visible(shown, matte)
    return textures, visible


def _texel_weight(mean_shape: NDArray, space: TextureSpace) -> NDArray[np.float32]:
    """Weights (length,) by which the face counts more than hair and background."""
    size = space.size
    face: np.ndarray = np.zeros((size, size), np.float32)
    hull = cv2.convexHull(np.rint(frame_to_texels(mean_shape, size)).astype(np.int32))
    cv2.fillConvexPoly(face, hull, 1.0)
    face = cv2.GaussianBlur(cv2.dilate(face, np.ones((9, 9))), (0, 0), size / 24)
    weight = _OUTER_WEIGHT + (_INNER_WEIGHT - _OUTER_WEIGHT) * face
    return space.spread_weight(weight, _MATTE_WEIGHT)


def _residual_deviation(
    textures: NDArray[np.uint8], visible: NDArray[np.bool_], basis: LinearBasis, space: TextureSpace
) -> np.ndarray:
    """Standard deviation (size, size) of the luma that the components leave out.

    It is estimated from every tenth face.
    """
    rows = textures[::10].astype(np.float32)
    known = visible[::10, : space.luma]
    rebuilt = basis.mean + (basis.encode(rows) * basis.spread) @ basis.components
    residual = rows[:, : space.luma] - rebuilt[:, : space.luma]
    variance = (residual**2 * known).sum(0) / (known.sum(0) + len(rows) / 10)
    deviation = np.sqrt(variance).reshape(space.size, space.size).astype(np.float32)
    return cv2.GaussianBlur(deviation, (0, 0), 1.5)


def _style_features(
    codes: NDArray[np.float32], basis: LinearBasis, space: TextureSpace
) -> NDArray[np.float32]:
    """Coarse textures (n, m) of what surrounds the faces, by their codes (n, k): mostly hair."""
    around = np.sqrt(np.maximum(_INNER_WEIGHT - basis.weight, 0))
    features = space.coarse(basis.components * basis.spread[:, None] * around, 8)
    return codes @ features
