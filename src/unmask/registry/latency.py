"""How long chains take beside one another, on a machine that does other work too."""

import time

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet, box_of
from unmask.inference.chain import Chain

_PICTURES, _ROUNDS = 10, 3


def seconds_in_turn(chains: list[Chain], eval_set: EvaluationSet) -> list[np.ndarray]:
    """Seconds (P,) that each chain takes for the same P pictures, spread over the eval_set.

    The chains take turns at every picture, so that a busy machine slows all of them alike, and
    begin in turn; a picture counts with the least of its rounds. One picture warms up.
    """
    chosen = np.unique(np.linspace(0, len(eval_set) - 1, min(_PICTURES, len(eval_set))).astype(int))
    found = np.empty((_ROUNDS, len(chains), len(chosen)))
    boxes = [box_of(eval_set.valid[face]) for face in chosen]
    pictures = [eval_set.masked[face][box] for face, box in zip(chosen, boxes, strict=True)]
    valid = [eval_set.valid[face][box] for face, box in zip(chosen, boxes, strict=True)]
    for chain in chains:
        chain.restore(pictures[0], valid=valid[0])
    for turn in range(_ROUNDS):
        order = np.roll(np.arange(len(chains)), turn)
        for index, (picture, shown) in enumerate(zip(pictures, valid, strict=True)):
            for which in order:
                start = time.perf_counter()
                chains[which].restore(picture, valid=shown)
                found[turn, which, index] = time.perf_counter() - start
    return list(found.min(axis=0))
