"""Pieces of a mask that the network missed, told from skin and hair by their colours.

Source: Rother, Kolmogorov & Blake, "GrabCut", SIGGRAPH 2004, as OpenCV computes it.
"""

import cv2
import numpy as np

from unmask.data.morphology import grown

# of the frame's side: how far from the mask pieces are looked for, how far beyond that the colours
# of all else are learned, and how far within its edge the mask is sure
_REACH, _ELSEWHERE, _SURE = 0.07, 0.14, 0.02
_LARGEST = 0.8  # of the frame, beyond which too little else is left to learn from
_LARGEST_PIECE = 0.1  # of the mask, where it goes on beyond the reach
_ROUNDS = 2


def with_missed_pieces(crop: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """The probability of mask, 1 on pieces that touch the mask and have its colours.

    A patch of a print at the bridge of the nose or the rim of an N95 is found so. A large
    piece that goes on beyond the reach is something else of the mask's colour, as a coat or hair.

    Args:
        crop: (S, S, 3) uint8 RGB.
        probability: (S, S) float32 in [0, 1], of mask.

    Returns:
        (S, S) float32; the same for the same input.
    """
    side, mask = len(probability), probability > 0.5
    sure = grown(mask, -max(1, round(_SURE * side)))
    if not sure.any() or mask.mean() > _LARGEST:
        return probability
    labels = np.full(mask.shape, cv2.GC_BGD, np.uint8)
    labels[grown(mask, round(_REACH * side))] = cv2.GC_PR_BGD
    labels[mask] = cv2.GC_PR_FGD
    labels[sure] = cv2.GC_FGD
    rows, columns = np.nonzero(grown(mask, round((_REACH + _ELSEWHERE) * side)))
    part = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    near = np.ascontiguousarray(labels[part])
    if not (near == cv2.GC_BGD).any():
        return probability
    cv2.setRNGSeed(0)  # its colour models start from a random clustering
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(crop[part]), near, None, *models, _ROUNDS)
    alike = np.zeros_like(mask)
    alike[part] = (near == cv2.GC_FGD) | (near == cv2.GC_PR_FGD)
    alike &= ~mask
    _, pieces = cv2.connectedComponents(alike.astype(np.uint8), connectivity=4)
    touching = np.unique(pieces[grown(mask, 1) & alike])
    going_on = np.unique(pieces[grown(labels == cv2.GC_BGD, 1) & alike])
    large = np.flatnonzero(np.bincount(pieces.ravel()) > _LARGEST_PIECE * mask.sum())
    other = np.intersect1d(going_on, large)
    missed = np.isin(pieces, np.setdiff1d(touching, other)) & alike
    return np.where(missed, np.float32(1), probability)
