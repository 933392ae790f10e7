"""Fits the appearance model to any collection of framed faces with landmarks.

Cootes, Edwards & Taylor, "Active appearance models", PAMI 2001: a linear model of shape, a linear
model of shape-free texture, and their joint distribution. What a face's photo does not show is
drawn, given what it shows, from the probabilistic PCA of the faces that show more (Tipping &
Bishop, "Probabilistic principal component analysis", 1999), so that tight and wide crops mix.
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
from unmask.face_model.hidden_texels import fill_by_draw, fill_from_donors, fill_with_mean
from unmask.face_model.linear_basis import LinearBasis, principal_components
from unmask.face_model.piecewise_affine import triangle_map, triangulate, warp_maps
from unmask.face_model.texture_space import TextureSpace, frame_to_pixels, frame_to_texels, mesh

AnnotatedFace = tuple[
    NDArray[np.uint8],
    NDArray[np.float32],
    NDArray[np.bool_] | None,
    str | None,
    int | None,
    str | None,
]

_WIDE_SHARE = 0.9
_INNER_WEIGHT, _OUTER_WEIGHT = 1.0, 0.55
_MATTE_WEIGHT = 0.5


def fit(
    faces: Iterable[AnnotatedFace],
    *,
    texture_size: int = 128,
    shape_components: int = 24,
    texture_components: int = 280,
    fill_rounds: int = 2,
    seed: int = 0,
    origin: str = "",
    progress: Callable[[str], None] = lambda message: None,
) -> AppearanceModel:
    """Fit the model to faces in the canonical frame.

    Each face is (RGB uint8 (n, n, 3), landmarks (68, 2) in its pixels, mask (n, n) of the pixels
    that hold photo or None for all, 'male' | 'female' | None, age in years or None, ethnicity or
    None). Memory: each face as PNG, then as a uint8 vector and its mask of 28 kB each. The same
    faces and seed give the same model. Raises ValueError for fewer than 8 faces.
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
    bare = without_glasses(textures, frame_to_texels(mean_shape, space.size), space)
    textures, visible, shape_rows = textures[bare], visible[bare], shape_rows[bare]
    labels = [label for label, kept in zip(labels, bare, strict=True) if kept]

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
        fill_by_draw(textures, visible, wide, basis, space, rng)
        fill_from_donors(textures, visible, tight, wide, genders, basis, space, rng)
        basis = principal_components(textures, texture_components, rng, weight)
        progress(f"filled and refitted, {basis.kept:.3f} of the variance kept")

    detail = _detail(textures, visible, basis, space)
    joint = np.concatenate([shape_basis.encode(shape_rows), basis.encode(textures)], 1)
    mixture = fit_mixture(joint, labels, _hair(joint[:, -len(basis.spread) :], basis, space), rng)
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
    size = space.size
    target = frame_to_texels(mesh(mean_shape), size)
    matting = HeadMatting(target[:68], size)
    triangles = triangulate(target)
    owner = triangle_map(target, triangles, (size, size))
    textures = np.empty((len(images), space.length), np.uint8)
    visible = np.empty((len(images), space.length), np.bool_)
    for row, (encoded, packed, shape) in enumerate(zip(images, masks, shapes, strict=True)):
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        side = image.shape[0]
        photo = np.full((side, side), 255, np.uint8)
        if packed is not None:
            photo *= np.unpackbits(packed, count=side * side).reshape(side, side)
        maps = warp_maps(target, frame_to_pixels(mesh(shape), side), triangles, owner)
        texture = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        shown = cv2.remap(photo, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        shown = cv2.erode(shown, np.ones((5, 5), np.uint8)) > 250
        matte = matting.matte(texture, shown)
        textures[row] = space.pack(texture, matte)
        visible[row] = space.pack_visible(shown, matte)
    return textures, visible


def _texel_weight(mean_shape: NDArray, space: TextureSpace) -> NDArray[np.float32]:
    """The face counts more than hair and surroundings in what the components explain."""
    size = space.size
    face = np.zeros((size, size), np.float32)
    hull = cv2.convexHull(np.rint(frame_to_texels(mean_shape, size)).astype(np.int32))
    cv2.fillConvexPoly(face, hull, 1.0)
    face = cv2.GaussianBlur(cv2.dilate(face, np.ones((9, 9))), (0, 0), size / 24)
    weight = _OUTER_WEIGHT + (_INNER_WEIGHT - _OUTER_WEIGHT) * face
    return space.spread_weight(weight, _MATTE_WEIGHT)


def _detail(
    textures: NDArray[np.uint8], visible: NDArray[np.bool_], basis: LinearBasis, space: TextureSpace
) -> NDArray[np.float32]:
    """Deviation (size, size) of the luma that the components leave out, from a tenth of faces."""
    rows = textures[::10].astype(np.float32)
    known = visible[::10, : space.luma]
    left = (
        rows[:, : space.luma]
        - (basis.mean + (basis.encode(rows) * basis.spread) @ basis.components)[:, : space.luma]
    )
    variance = (left**2 * known).sum(0) / (known.sum(0) + len(rows) / 10)
    deviation = np.sqrt(variance).reshape(space.size, space.size).astype(np.float32)
    return cv2.GaussianBlur(deviation, (0, 0), 1.5)


def _hair(
    codes: NDArray[np.float32], basis: LinearBasis, space: TextureSpace
) -> NDArray[np.float32]:
    """Coarse textures (n, m) around the faces, less the faces themselves."""
    around = np.sqrt(np.maximum(_INNER_WEIGHT - basis.weight, 0))
    looks = space.coarse(basis.components * basis.spread[:, None] * around, 8)
    return codes @ looks
