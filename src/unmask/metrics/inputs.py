"""Reading of metric inputs: numpy arrays or torch tensors in, checked numpy arrays out."""

import numpy as np
import torch

Array = np.ndarray | torch.Tensor
PEAK = 255.0  # largest value of a picture


def to_numpy(array: Array) -> np.ndarray:
    """Return the array on the CPU as numpy, without a copy where possible."""
    return array.detach().cpu().numpy() if isinstance(array, torch.Tensor) else np.asarray(array)


def read_masks(masks: Array, name: str) -> np.ndarray:
    """Return boolean masks of shape (N, H, W).

    Args:
        masks: bool (N, H, W).
        name: what the masks are, for the error's message.

    Raises:
        ValueError: if the masks are not boolean or not three-dimensional.
    """
    masks = to_numpy(masks)
    if masks.dtype != bool:
        raise ValueError(f"{name} must be boolean, not {masks.dtype}: threshold it first")
    if masks.ndim != 3:
        raise ValueError(f"{name} must have shape (N, H, W), not {masks.shape}")
    return masks


def read_mask_pair(predicted: Array, true: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return predicted and true boolean masks, both of shape (N, H, W).

    Args:
        predicted: bool (N, H, W).
        true: bool (N, H, W).

    Raises:
        ValueError: if a mask is not boolean or the shapes differ.
    """
    predicted, true = read_masks(predicted, "predicted mask"), read_masks(true, "true mask")
    if predicted.shape != true.shape:
        raise ValueError(f"masks must have one shape, not {predicted.shape} and {true.shape}")
    return predicted, true


def read_pictures(
    predicted: Array, target: Array, region: Array
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return two batches of pictures as float64 (N, H, W, C) and their region, bool (N, H, W).

    Args:
        predicted: uint8 or float in 0..255, shape (N, H, W, C).
        target: same shape and range.
        region: bool (N, H, W), true on the pixels that count.

    Raises:
        ValueError: if shapes disagree, a value is not finite or lies outside 0..255, or the
            region of a picture has no pixels.
    """
    predicted, target = (to_numpy(p).astype(np.float64) for p in (predicted, target))
    region = read_masks(region, "region")
    if target.ndim != 4 or predicted.shape != target.shape or region.shape != target.shape[:3]:
        raise ValueError(
            "pictures must have shape (N, H, W, C) and the region (N, H, W), not "
            f"{predicted.shape}, {target.shape} and {region.shape}"
        )
    for name, pictures in (("predicted", predicted), ("target", target)):
        if not np.all((pictures >= 0) & (pictures <= PEAK)):
            raise ValueError(f"{name} pictures must hold finite values in 0..255")
    empty = np.flatnonzero(~region.any(axis=(1, 2)))
    if empty.size:
        raise ValueError(f"the region has no pixels in the pictures {empty.tolist()}")
    return predicted, target, region


def region_mean(values: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the mean (N,) of values (N, H, W) over each picture's region (N, H, W)."""
    return values.mean(axis=(1, 2), where=region)
