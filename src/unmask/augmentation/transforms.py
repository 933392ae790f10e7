"""Random geometric and photometric transforms of a face crop."""

import random
from functools import cache

import albumentations as A
import cv2
import numpy as np

from unmask.config.augment import Camera, Degradation, Geometry, PhotoStyle, Print
from unmask.geometry.frame import UNSHOWN, chained, move_points, resizing, warp
from unmask.geometry.landmarks import mirrored

_LEAST_SIGMA = 0.3  # pixels, of a blur
_INTERPOLATION = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}


def jitter(
    rng: np.random.Generator,
    size: int,
    geometry: Geometry,
    *,
    roll: float | None = None,
    narrowest: float = 1.0,
) -> np.ndarray:
    """A random similarity transform about the frame's centre, of a face made narrower first.

    Args:
        rng: that it is drawn by.
        size: side of crop and view in pixels.
        geometry: the ranges.
        roll: standard deviation of the rotation in degrees, in place of the geometry's.
        narrowest: least width that a face keeps, as a share of its own.

    Returns:
        (2, 3) matrix from crop to view.
    """
    centre = (size - 1) / 2
    roll = geometry.roll if roll is None else roll
    zoom = float(np.exp(rng.uniform(*np.log(geometry.scale))))
    matrix = cv2.getRotationMatrix2D((centre, centre), float(rng.normal(0, roll)), zoom)
    shift = rng.uniform(-geometry.shift, geometry.shift, 2) * size
    matrix = np.column_stack([matrix[:, :2], matrix[:, 2] + shift])
    if narrowest == 1:
        return matrix
    width = float(rng.uniform(narrowest, 1))
    return chained(np.array([[width, 0, (1 - width) * centre], [0, 1, 0]]), matrix)


def view(
    image: np.ndarray,
    mask: np.ndarray,
    landmarks: np.ndarray,
    matrix: np.ndarray,
    flip: bool,
    size: int,
    around: tuple[int, int, int] = (UNSHOWN,) * 3,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the same view out of a picture, its mask and its landmarks.

    Args:
        image: (S, S, 3) uint8 RGB.
        mask: (S, S) bool.
        landmarks: (68, 2) pixels.
        matrix: (2, 3) from crop to view, both of side S.
        flip: mirror the view.
        size: side of the view in pixels, to which it is then resized.
        around: RGB colour of what lies outside the crop.

    Returns:
        (picture (size, size, 3) uint8, mask (size, size) bool, landmarks (68, 2) float32).
    """
    matrix = chained(matrix, resizing(len(image), size))
    image = warp(image, matrix, (size, size), beyond=around)
    mask = warp(mask.astype(np.uint8) * 255, matrix, (size, size), beyond=0)
    landmarks = move_points(landmarks, matrix)
    if flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
        landmarks = mirrored(landmarks, size)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask > 127), landmarks


def random_resized_crop(
    picture: np.ndarray, rng: np.random.Generator, part: tuple[float, float]
) -> np.ndarray:
    """A random square of a picture, enlarged to the picture's size.

    Args:
        picture: (S, S, 3) uint8 RGB.
        rng: that it is drawn by.
        part: smallest and largest side of the square, in sides of the picture.
    """
    size = len(picture)
    side = int(size * rng.uniform(*part))
    x, y = rng.integers(0, size - side + 1, 2)
    return cv2.resize(picture[y : y + side, x : x + side], (size, size))


def print_on_mask(
    image: np.ndarray,
    mask: np.ndarray,
    motif: np.ndarray,
    rng: np.random.Generator,
    settings: Print,
) -> np.ndarray:
    """Print a picture on the mask of a masked face.

    The print takes the light of the fabric under it, and covers all of the mask or one side of a
    straight line across it, as panels, valves and labels do.

    Args:
        image: (S, S, 3) uint8 RGB, the masked face.
        mask: (S, S) bool, not empty.
        motif: (S, S, 3) uint8 RGB, the picture to print.
        rng: that opacity and line are drawn by.
        settings: their ranges.

    Returns:
        (S, S, 3) uint8 RGB.
    """
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), settings.edge)
    alpha = alpha * rng.uniform(*settings.opacity)
    if rng.random() < settings.one_side:
        rows, columns = np.nonzero(mask)
        chosen = rng.integers(len(rows))
        turn = rng.uniform(0, 2 * np.pi)
        y, x = np.ogrid[: len(image), : len(image)]
        across = (x - columns[chosen]) * np.cos(turn) + (y - rows[chosen]) * np.sin(turn)
        alpha = alpha * (across > 0)
    light = image.astype(np.float32).mean(axis=2)
    shade = (light / max(float(light[mask].mean()), 1.0)).clip(*settings.shade)
    mixed = image + alpha[..., None] * (motif * shade[..., None] - image)
    return mixed.clip(0, 255).astype(np.uint8)


def _drawing_from(rng: np.random.Generator, change: A.Compose) -> A.Compose:
    """A change whose parts all draw from one generator.

    A seed would give each the same numbers, so that what is rare came only together with all that
    is likelier.
    """
    change.set_random_state(rng, random.Random(int(rng.integers(2**31))))
    return change


@cache
def _camera(camera: Camera, photometric: float, size: int) -> A.Compose:
    same = dict.fromkeys(("brightness", "contrast", "saturation"), photometric)
    least, most = camera.resolution
    sigma = (_LEAST_SIGMA, max(_LEAST_SIGMA, camera.blur_sigma * size))
    return A.Compose(
        [
            A.ColorJitter(**same, hue=camera.hue * photometric, p=camera.colour),
            A.ToGray(p=camera.grey),
            A.OneOf(
                [A.GaussianBlur(sigma_limit=sigma), A.MotionBlur(blur_limit=camera.motion)],
                p=camera.blur,
            ),
            A.Downscale(
                (min(camera.smallest_face / size, least), most), _INTERPOLATION, p=camera.downscale
            ),
            A.GaussNoise(std_range=camera.noise_sigma, p=camera.noise),
            A.ImageCompression(quality_range=camera.quality, p=camera.compression),
        ]
    )


@cache
def _photo_style(style: PhotoStyle) -> A.Compose:
    return A.Compose(
        [
            A.OneOf(
                [
                    A.ToGray(p=style.grey),
                    A.ToSepia(p=style.sepia),
                    A.ColorJitter(
                        brightness=style.brightness,
                        contrast=style.contrast,
                        saturation=style.saturation,
                        hue=style.hue,
                        p=style.light,
                    ),
                    A.RGBShift(*(style.cast_levels,) * 3, p=style.cast),
                    A.RandomGamma(style.gamma, p=style.night),
                ],
                p=style.chance,
            )
        ]
    )


@cache
def _degradation(settings: Degradation) -> A.Compose:
    return A.Compose(
        [
            A.OneOf(
                [
                    A.ImageCompression(quality_range=settings.quality),
                    A.GaussianBlur(sigma_limit=settings.blur_sigma),
                    A.Downscale(settings.resolution, _INTERPOLATION),
                    A.GaussNoise(std_range=settings.noise_sigma),
                ],
                p=1,
            )
        ],
        additional_targets={"truth": "image"},
    )


def change_photo_style(
    masked: np.ndarray,
    truth: np.ndarray,
    rng: np.random.Generator,
    style: PhotoStyle,
    degradation: Degradation,
) -> tuple[np.ndarray, np.ndarray]:
    """Change two pictures of one face alike, as another kind of photograph would show it.

    Args:
        masked: (S, S, 3) uint8 RGB.
        truth: (S, S, 3) uint8 RGB.
        rng: that all is drawn by.
        style: black and white, sepia, another light, a cast or night, or none of them.
        degradation: the share of pictures that lose detail, and how much.

    Returns:
        (masked, truth), changed.
    """
    degraded = bool(rng.random() < degradation.chance)
    change = _drawing_from(rng, _photo_style(style))
    # as one picture: contrast changes about a picture's mean, which the mask moves
    halves = np.split(change(image=np.hstack([masked, truth]))["image"], 2, axis=1)
    masked, truth = map(np.ascontiguousarray, halves)
    if degraded:
        changed = _drawing_from(rng, _degradation(degradation))(image=masked, truth=truth)
        masked, truth = changed["image"], changed["truth"]
    return masked, truth


def apply_camera(
    image: np.ndarray, rng: np.random.Generator, camera: Camera, photometric: float
) -> np.ndarray:
    """Random colour, blur, resolution, noise and JPEG, as a camera gives them.

    Args:
        image: (S, S, 3) uint8 RGB.
        rng: that all is drawn by.
        camera: the chances and ranges.
        photometric: by what share brightness, contrast and saturation change at most.
    """
    return _drawing_from(rng, _camera(camera, photometric, len(image)))(image=image)["image"]
