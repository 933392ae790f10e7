"""Batches as pure functions of (seed, epoch, step), so that a resumed training sees the same."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from unmask.datasets.cache import Split

#: Makes arrays by name from (split, index of a face, index of its mask, random generator).
Sample = Callable[[Split, int, int, np.random.Generator], dict[str, np.ndarray]]


class Steps(Sampler[list[tuple[int, int, int]]]):
    """The batches of one epoch: lists of (step, slot, face) for one of `world` processes.

    Faces come in shuffled passes over the split; the slots of a batch are dealt out to the
    processes, so that any number of processes sees the same global batch. In a pass over N faces
    one of weight w comes N w / sum(w) times, rounded up or down (systematic resampling).

    Args:
        weights: (N,) of the faces, above 0; where all are equal, each comes once per pass.
        batch: number of faces of the global batch.
        steps: number of batches per epoch.
        epoch: index of the epoch, from 0.
        seed: of the passes' order.
        rank: index of this process, 0..world - 1.
        world: number of processes.
    """

    def __init__(
        self,
        weights: Sequence[float],
        batch: int,
        steps: int,
        epoch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._first = epoch * steps
        self._steps, self._batch, self._seed = steps, batch, seed
        self._until = np.cumsum(weights) / np.sum(weights)
        self._slots = range(rank, batch, world)

    def __len__(self) -> int:
        return self._steps

    def _face(self, position: int, passes: dict[int, np.ndarray]) -> int:
        faces = len(self._until)
        number = position // faces
        if number not in passes:
            rng = np.random.default_rng([self._seed, number])
            order = rng.permutation(faces)
            passes.clear()
            passes[number] = np.searchsorted(self._until, (order + rng.random()) / faces)
        return int(passes[number][position % faces])

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        passes: dict[int, np.ndarray] = {}
        for step in range(self._first, self._first + self._steps):
            yield [
                (step, slot, self._face(step * self._batch + slot, passes)) for slot in self._slots
            ]


class Augmented(Dataset):
    """Augmented samples by (step, slot, face); these and the seed determine every random choice.

    Args:
        split: the faces, each of whose masks is as likely.
        sample: makes a sample.
        seed: of the random choices.
    """

    def __init__(self, split: Split, sample: Sample, seed: int) -> None:
        self._split, self._sample, self._seed = split, sample, seed

    def __getitem__(self, key: tuple[int, int, int]) -> dict[str, np.ndarray]:
        step, slot, face = key
        rng = np.random.default_rng([self._seed, step, slot])
        return self._sample(self._split, face, int(rng.integers(self._split.variants)), rng)


class Fixed(Dataset):
    """Samples of faces evenly spread over a split, each of its first mask and always the same.

    Args:
        split: the faces.
        sample: makes a sample.
        limit: number of faces, at most.
    """

    def __init__(self, split: Split, sample: Sample, limit: int) -> None:
        self._split, self._sample = split, sample
        self._length = min(limit, len(split))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, face: int) -> dict[str, np.ndarray]:
        chosen = face * len(self._split) // self._length
        return self._sample(self._split, chosen, 0, np.random.default_rng(chosen))


def collate(samples: list[dict[str, np.ndarray]]) -> dict[str, Tensor]:
    """Stack N samples; uint8 pictures (S, S, 3) become float (N, 3, S, S) in [0, 1].

    Pictures are channels-last in memory, which halves the time of a training step on a CPU.
    """
    batch = {}
    for name in samples[0]:
        stacked = torch.from_numpy(np.stack([sample[name] for sample in samples]))
        if stacked.dtype == torch.uint8 and stacked.ndim == 4:
            stacked = stacked.permute(0, 3, 1, 2).float().div_(255)
        batch[name] = stacked
    return batch


def loader(dataset: Dataset, workers: int, **options: Any) -> DataLoader:
    """Make a data loader of collated batches.

    With worker processes OpenCV is limited to one thread in this process too: a worker that is
    forked while a thread of OpenCV's pool holds the pool's lock would wait for that lock for ever.

    Args:
        dataset: the samples.
        workers: number of worker processes; 0 loads in this process.
        options: DataLoader's `batch_size` or `batch_sampler`.
    """
    if workers:
        cv2.setNumThreads(1)
    return DataLoader(dataset, collate_fn=collate, num_workers=workers, **options)
