"""Latency of several chains, measured so that other load on the machine slows all of them alike."""

import time

import numpy as np

from unmask.evaluation.evaluation_set import EvaluationSet, box_of
from unmask.inference.chain import Chain

_PICTURES, _ROUNDS = 10, 3


def measure_latencies(chains: list[Chain], eval_set: EvaluationSet) -> list[np.ndarray]:
    """The seconds (P,) that each chain takes for the same P pictures, spread over the set.

    The chains restore each picture one after another, starting with another chain in every round.
    A picture's latency is the least of its rounds; one picture per chain warms up.
    """
    chosen = np.unique(np.linspace(0, len(eval_set) - 1, min(_PICTURES, len(eval_set))).astype(int))
    seconds = np.empty((_ROUNDS, len(chains), len(chosen)))
    boxes = [box_of(eval_set.valid[face]) for face in chosen]
    pictures = [eval_set.masked[face][box] for face, box in zip(chosen, boxes, strict=True)]
    valid = [eval_set.valid[face][box] for face, box in zip(chosen, boxes, strict=True)]
    for chain in chains:
        chain.restore(pictures[0], valid=valid[0])
    for number in range(_ROUNDS):
        order = np.roll(np.arange(len(chains)), number)
        for column, (picture, shown) in enumerate(zip(pictures, valid, strict=True)):
            for row in order:
                start = time.perf_counter()
                chains[row].restore(picture, valid=shown)
                seconds[number, row, column] = time.perf_counter() - start
    return list(seconds.min(axis=0))
