"""Random views of a face crop: where it is cut, and how a camera would have shown it."""

from functools import cache

import albumentations as A
import cv2
import numpy as np

from unmask.faces.frame import UNSHOWN, move_points
from unmask.faces.landmarks import mirrored


def jitter(
    rng: np.random.Generator, size: int, *, scale: tuple[float, float], roll: float, shift: float
) -> np.ndarray:
    """A random similarity transform about the frame's centre.

    Args:
        scale: smallest and largest zoom, drawn evenly on a logarithmic scale.
        roll: standard deviation of the rotation, degrees.
        shift: largest shift along each axis, as a share of `size`.

    Returns:
        (2, 3) matrix from crop to view.
    """
    centre = (size - 1) / 2
    zoom = float(np.exp(rng.uniform(*np.log(scale))))
    matrix = cv2.getRotationMatrix2D((centre, centre), float(rng.normal(0, roll)), zoom)
    matrix[:, 2] += rng.uniform(-shift, shift, 2) * size
    return matrix


def view(
    image: np.ndarray,
    mask: np.ndarray,
    landmarks: np.ndarray,
    matrix: np.ndarray,
    flip: bool,
    around: tuple[int, int, int] = (UNSHOWN,) * 3,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the same view out of image (S, S, 3), mask (S, S) bool and landmarks (68, 2).

    Args:
        around: RGB colour of what lies outside the crop.
    """
    size = image.shape[0]
    image = cv2.warpAffine(image, matrix, (size, size), borderValue=around)
    mask = cv2.warpAffine(mask.astype(np.uint8) * 255, matrix, (size, size))
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


@cache
def _camera(photometric: float) -> A.Compose:
    same = dict.fromkeys(("brightness", "contrast", "saturation"), photometric)
    return A.Compose(
        [
            A.ColorJitter(**same, hue=0.12 * photometric, p=0.7),
            A.ToGray(p=0.05),
            A.OneOf(
                [A.GaussianBlur(sigma_limit=(0.3, 1.6)), A.MotionBlur(blur_limit=(3, 5))], p=0.3
            ),
            A.Downscale(scale_range=(0.35, 0.8), p=0.15),
            A.GaussNoise(std_range=(0.01, 0.05), p=0.25),
            A.ImageCompression(quality_range=(35, 95), p=0.3),
        ]
    )


def photographed(image: np.ndarray, rng: np.random.Generator, photometric: float) -> np.ndarray:
    """Random colour, blur, resolution, noise and JPEG on an RGB uint8 picture.

    Args:
        photometric: by what share brightness, contrast and saturation change at most.
    """
    camera = _camera(photometric)
    camera.set_random_seed(int(rng.integers(2**31)))
    return camera(image=image)["image"]
