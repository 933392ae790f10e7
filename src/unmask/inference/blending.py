"""Blending of a restored crop into the picture it was cut from.

Resampling takes some of its fine detail, and inpainting leaves the camera's grain out: the hole is
sharpened as its surroundings were blurred, and gets their grain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from unmask.config.restore import Blending
from unmask.geometry.frame import invert, move_points, scale_of, warp
from unmask.geometry.morphology import grown

_SIGMA = 1.0  # pixels, of the Gaussian that separates fine detail
_WHITE = 0.8725  # standard deviation of the fine detail of white noise whose own is 1
_FEWEST = 50  # pixels around a hole, to measure on
_LEAST_BAND = 2.0  # pixels
_MOST_PIXELS = 4_000_000  # that are blended at once
_REACH = 4  # pixels, of the Gaussian


def high_pass(picture: np.ndarray) -> np.ndarray:
    """The fine detail of a picture (H, W[, C]) float32, of the same shape."""
    return picture - cv2.GaussianBlur(picture, (0, 0), _SIGMA)


def lost_sharpness(
    filled: np.ndarray, picture: np.ndarray, around: np.ndarray, most: float
) -> float:
    """Times that resampling weakened a crop's fine detail, 1 where that is not known.

    Around the hole the crop shows what the picture shows, resampled twice.

    Args:
        filled: (H, W, 3) float32 in 0..255, the crop brought back into the picture.
        picture: (H, W, 3) uint8, the picture given.
        around: (H, W) bool, where both show the same.
        most: the answer, at most.
    """
    if around.sum() < _FEWEST:
        return 1.0
    left = np.abs(high_pass(filled)[around]).mean()
    if left == 0:
        return 1.0
    lost = np.abs(high_pass(picture.astype(np.float32))[around]).mean() / left
    return float(np.clip(lost, 1, most))


def sharpened(filled: np.ndarray, hole: np.ndarray, times: float) -> np.ndarray:
    """A crop (H, W, 3) float32 whose fine detail in the hole (H, W) is so many times as strong."""
    return filled + np.where(hole[..., None], (times - 1) * high_pass(filled), 0)


def estimate_grain(picture: np.ndarray, where: np.ndarray) -> float:
    """Standard deviation of a picture's grain in grey levels, robust against edges.

    Args:
        picture: (H, W, 3) uint8 or float32 in 0..255.
        where: (H, W) bool, the pixels that count.

    Returns:
        0 where the pixels are too few to estimate it.
    """
    if where.sum() < _FEWEST:
        return 0.0
    grey = cv2.transform(picture.astype(np.float32), np.full((1, 3), 1 / 3))
    detail = high_pass(grey)[where]
    return float(1.4826 * np.median(np.abs(detail - np.median(detail))) / _WHITE)


def missing_grain(
    filled: np.ndarray,
    picture: np.ndarray,
    hole: np.ndarray,
    around: np.ndarray,
    settings: Blending,
) -> float:
    """Standard deviation of the grain to add to a hole: a share of what it lacks.

    Args:
        filled: (H, W, 3) float32 in 0..255.
        picture: (H, W, 3) uint8, the picture given.
        hole: (H, W) bool.
        around: (H, W) bool, the surroundings.
        settings: the share, and the strongest grain.
    """
    lacking = estimate_grain(picture, around) ** 2 - estimate_grain(filled, hole) ** 2
    return min(settings.grain * max(lacking, 0) ** 0.5, settings.strongest_grain)


def grained(
    filled: np.ndarray, hole: np.ndarray, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """A crop (H, W, 3) float32 with white noise of a standard deviation in its hole (H, W)."""
    noise = rng.normal(0, strength, hole.shape).astype(np.float32)
    return filled + np.where(hole, noise, 0)[..., None]


def frame_hole(probability: np.ndarray, filled: float) -> np.ndarray:
    """The hole to fill (S, S) bool: where the mask is more likely than not, and a rim around it.

    Args:
        probability: (S, S) float32 in [0, 1], of mask.
        filled: width of the rim in sides of the frame; at least 1 pixel is taken.
    """
    return grown(probability > 0.5, max(1, round(filled * len(probability))))


@dataclass(frozen=True)
class Pasted:
    """The rows and columns of a picture that are others, and what they show.

    Attributes:
        rows, columns: of the picture, none where there is no hole.
        pictures: (h, w, 3) uint8, one for each crop.
        hole: (h, w) bool, that was filled.
    """

    rows: slice
    columns: slice
    pictures: list[np.ndarray]
    hole: np.ndarray


def _warp_back(values: np.ndarray, transform: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values (S, S) of the crop in the picture (H, W), 0 beyond the crop."""
    return warp(values, invert(transform), (shape[1], shape[0]), beyond=0)


def picture_mask(
    probability: np.ndarray, transform: np.ndarray, shape: tuple[int, ...], settings: Blending
) -> np.ndarray:
    """The mask in a picture, bool (H, W).

    A pixel is mask where the mask covers any of it, which of a frame's pixels at its edge is
    likelier than of the finer ones of a picture.

    Args:
        probability: (S, S) float32 in [0, 1], of mask in the crop.
        transform: (2, 3) from picture to crop.
        shape: (H, W[, C]) of the picture.
        settings: the probability from which on a finer pixel is mask.
    """
    least = settings.coverage if scale_of(transform) > settings.finer else 0.5
    return _warp_back(probability, transform, shape) > least


def shown_part(transform: np.ndarray, side: int, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a picture (H, W[, C]) around the frame of a side in pixels.

    Args:
        transform: (2, 3) from picture to frame.
        side: of the frame, in its pixels.
        shape: of the picture.

    Returns:
        Slices with a start and an end, both empty where the frame lies beyond the picture.
    """
    last = side - 1
    corners = np.array([[0, 0], [last, 0], [0, last], [last, last]], float)
    points = move_points(corners, invert(transform))
    first, end = np.floor(points.min(axis=0)).astype(int), np.ceil(points.max(axis=0)).astype(int)
    columns, rows = (
        slice(min(max(low - 1, 0), length), min(max(high + 2, 0), length))
        for low, high, length in zip(first, end, (shape[1], shape[0]), strict=True)
    )
    return rows, columns


def paste_back(
    picture: np.ndarray,
    fills: Sequence[np.ndarray],
    probability: np.ndarray,
    transform: np.ndarray,
    settings: Blending,
) -> Pasted:
    """Replace the hole of a picture by each restored crop and blend in a narrow band around it.

    The hole gets the fine detail and the grain of the picture around it. A large picture is
    blended strip by strip; what is around the hole is measured in the strip through its middle.

    Args:
        picture: (H, W, 3) uint8 RGB.
        fills: (S, S, 3) uint8 RGB, restored crops; each equals the crop outside its hole.
        probability: (S, S) float32 in [0, 1], of mask.
        transform: (2, 3) from picture to crop.
        settings: widths, sharpening and grain.

    Returns:
        The part of the picture with the hole and the band around it.
    """
    shape = picture.shape
    unit = len(probability) * scale_of(transform)  # the frame's side in picture pixels
    inside = _warp_back(np.ones_like(probability), transform, shape) > 0.999
    hole = _warp_back(probability, transform, shape) > 0.5
    hole = grown(hole, max(1, round(settings.replaced * unit))) & inside
    if not hole.any():
        nothing = slice(0, 0)
        return Pasted(nothing, nothing, [picture[:0, :0] for _ in fills], hole[:0, :0])
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    band = max(_LEAST_BAND, settings.band * unit)
    rows, columns = _bounds(distance <= band)
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)[rows, columns]
    alpha = np.where(distance[rows, columns] > band, 0, 1 - distance[rows, columns] / (band + 1))
    alpha *= (within / max(_LEAST_BAND, settings.fade * unit)).clip(0, 1)
    middle = _strip_through(hole)
    near, far = settings.surroundings
    around = inside[middle] & (distance[middle] > near * unit) & (distance[middle] < far * unit)
    del distance, within, inside

    pictures = []
    for filled in fills:
        crop = warp(filled, invert(transform), (shape[1], shape[0]), None, cv2.INTER_CUBIC)
        seen = crop[middle].astype(np.float32)
        times = lost_sharpness(seen, picture[middle], around, settings.sharpening)
        seen = sharpened(seen, hole[middle], times)
        strength = missing_grain(seen, picture[middle], hole[middle], around, settings)
        answer, rng = picture[rows, columns].copy(), np.random.default_rng(0)
        for top in range(rows.start, rows.stop, tall := max(1, _MOST_PIXELS // shape[1])):
            strip = slice(top, min(top + tall, rows.stop))
            edges = slice(max(0, strip.start - _REACH), strip.stop + _REACH)
            new = sharpened(crop[edges, columns].astype(np.float32), hole[edges, columns], times)
            new = new[strip.start - edges.start :][: strip.stop - strip.start]
            new = grained(new, hole[strip, columns], strength, rng).clip(0, 255)
            out = slice(strip.start - rows.start, strip.stop - rows.start)
            given, share = answer[out], alpha[out, :, None]
            blended = np.rint(given + share * (new - given)).astype(np.uint8)
            np.copyto(given, blended, where=share > 0)
        pictures.append(answer)
    return Pasted(rows, columns, pictures, hole[rows, columns])


def _bounds(mask: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a mask (H, W) with true pixels."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return slice(y, y + height), slice(x, x + width)


def _strip_through(hole: np.ndarray) -> slice:
    """All rows of a picture, or of a large one those around the middle of its hole (H, W)."""
    height, width = hole.shape
    tall = max(1, _MOST_PIXELS // width)
    if tall >= height:
        return slice(0, height)
    rows, _ = _bounds(hole)
    top = int(np.clip((rows.start + rows.stop - tall) // 2, 0, height - tall))
    return slice(top, top + tall)
