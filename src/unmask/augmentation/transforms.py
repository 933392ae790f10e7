"""Random views of a face crop: where it is cut, and how a camera would have shown it."""

import random
from functools import cache

import albumentations as A
import cv2
import numpy as np

from unmask.geometry.frame import UNSHOWN, chained, move_points, resizing, warp
from unmask.geometry.landmarks import mirrored

_BLUR = 1.6 / 128  # of the view's side, the strongest
_SMALLEST = 40  # pixels, that the smallest faces fill in photos before they are enlarged
_ENLARGED = {"downscale": cv2.INTER_AREA, "upscale": cv2.INTER_LINEAR}


def jitter(
    rng: np.random.Generator,
    size: int,
    *,
    scale: tuple[float, float],
    roll: float,
    shift: float,
    squeeze: float = 1.0,
) -> np.ndarray:
    """A random similarity transform about the frame's centre, of a face made slimmer first.

    Args:
        scale: smallest and largest zoom, drawn evenly on a logarithmic scale.
        roll: standard deviation of the rotation, degrees.
        shift: largest shift along each axis, as a share of `size`.
        squeeze: least width that a face keeps, as a share of its own.

    Returns:
        (2, 3) matrix from crop to view.
    """
    centre = (size - 1) / 2
    zoom = float(np.exp(rng.uniform(*np.log(scale))))
    matrix = cv2.getRotationMatrix2D((centre, centre), float(rng.normal(0, roll)), zoom)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) * size
    if squeeze == 1:
        return matrix
    width = float(rng.uniform(squeeze, 1))
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
    """Cut the same view out of image (S, S, 3), mask (S, S) bool and landmarks (68, 2).

    Args:
        matrix: (2, 3) from crop to view, both of side S.
        size: side of the view in pixels, to which it is then resized.
        around: RGB colour of what lies outside the crop.
    """
    matrix = chained(matrix, resizing(len(image), size))
    image = warp(image, matrix, (size, size), beyond=around)
    mask = warp(mask.astype(np.uint8) * 255, matrix, (size, size), beyond=0)
    landmarks = move_points(landmarks, matrix)
    if flip:
        image, mask = image[:, ::-1], mask[:, ::-1]
        landmarks = mirrored(landmarks, size)
    return np.ascontiguousarray(image), np.ascontiguousarray(mask > 127), landmarks


def enlarged_part(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random square of a picture (S, S, 3), a third to a half of it wide, enlarged to all."""
    size = len(picture)
    side = int(size * rng.uniform(0.33, 0.5))
    x, y = rng.integers(0, size - side + 1, 2)
    return cv2.resize(picture[y : y + side, x : x + side], (size, size))


def printed(
    image: np.ndarray, mask: np.ndarray, print_: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """A masked face (S, S, 3) uint8 with a picture of its size printed on its mask (S, S) bool.

    The print takes the light of the fabric under it, and covers all of the mask or one side of a
    straight line across it, as panels, valves and labels do.
    """
    alpha = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7) * rng.uniform(0.4, 1.0)
    if rng.random() < 0.4:
        rows, columns = np.nonzero(mask)
        chosen = rng.integers(len(rows))
        turn = rng.uniform(0, 2 * np.pi)
        y, x = np.ogrid[: len(image), : len(image)]
        across = (x - columns[chosen]) * np.cos(turn) + (y - rows[chosen]) * np.sin(turn)
        alpha = alpha * (across > 0)
    light = image.astype(np.float32).mean(axis=2)
    shade = (light / max(float(light[mask].mean()), 1.0)).clip(0.4, 1.8)
    mixed = image + alpha[..., None] * (print_ * shade[..., None] - image)
    return mixed.clip(0, 255).astype(np.uint8)


def _drawing_from(rng: np.random.Generator, change: A.Compose) -> A.Compose:
    """A change whose parts all draw from one generator: a seed would give each the same numbers, so
    that what is rare came only together with all that is likelier."""
    change.set_random_state(rng, random.Random(int(rng.integers(2**31))))
    return change


@cache
def _camera(photometric: float, size: int) -> A.Compose:
    same = dict.fromkeys(("brightness", "contrast", "saturation"), photometric)
    return A.Compose(
        [
            A.ColorJitter(**same, hue=0.12 * photometric, p=0.7),
            A.ToGray(p=0.05),
            A.OneOf(
                [
                    A.GaussianBlur(sigma_limit=(0.3, _BLUR * size)),
                    A.MotionBlur(blur_limit=(3, 5)),
                ],
                p=0.3,
            ),
            A.Downscale((min(_SMALLEST / size, 0.7), 0.8), _ENLARGED, p=0.3),
            A.GaussNoise(std_range=(0.01, 0.05), p=0.25),
            A.ImageCompression(quality_range=(35, 95), p=0.3),
        ]
    )


@cache
def _kind_of_photo() -> A.Compose:
    """Black and white, sepia, a cast, night: what changes a picture and its truth alike."""
    return A.Compose(
        [
            A.OneOf(
                [
                    A.ToGray(p=0.2),
                    A.ToSepia(p=0.1),
                    A.ColorJitter(brightness=0.25, contrast=0.25, saturation=0.4, hue=0.06, p=0.5),
                    A.RGBShift(35, 35, 35, p=0.15),
                    A.RandomGamma((150, 330), p=0.1),
                ],
                p=0.55,
            )
        ]
    )


@cache
def _degraded_photo() -> A.Compose:
    """JPEG, blur, enlargement, noise: what leaves less detail to restore."""
    return A.Compose(
        [
            A.OneOf(
                [
                    A.ImageCompression(quality_range=(25, 60)),
                    A.GaussianBlur(sigma_limit=(0.8, 3.0)),
                    A.Downscale((0.25, 0.5), _ENLARGED),
                    A.GaussNoise(std_range=(0.02, 0.08)),
                ],
                p=1,
            )
        ],
        additional_targets={"truth": "image"},
    )


def photographed_alike(
    masked: np.ndarray, truth: np.ndarray, rng: np.random.Generator, worn: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two RGB uint8 pictures of one face, changed alike as another kind of photograph.

    Args:
        worn: share of pictures that lose detail to blur, noise, enlargement or compression.
    """
    loses = bool(rng.random() < worn)
    kind = _drawing_from(rng, _kind_of_photo())
    # as one picture: contrast changes about a picture's mean, which the mask moves
    halves = np.split(kind(image=np.hstack([masked, truth]))["image"], 2, axis=1)
    masked, truth = map(np.ascontiguousarray, halves)
    if loses:
        shown = _drawing_from(rng, _degraded_photo())(image=masked, truth=truth)
        masked, truth = shown["image"], shown["truth"]
    return masked, truth


def photographed(image: np.ndarray, rng: np.random.Generator, photometric: float) -> np.ndarray:
    """Random colour, blur, resolution, noise and JPEG on an RGB uint8 picture (S, S, 3).

    The smallest faces of photos fill 40 pixels of their own, and come enlarged.

    Args:
        photometric: by what share brightness, contrast and saturation change at most.
    """
    return _drawing_from(rng, _camera(photometric, len(image)))(image=image)["image"]
