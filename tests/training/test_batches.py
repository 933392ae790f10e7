import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unmask.augmentation import views
from unmask.augmentation.views import plain_view
from unmask.config.augment import Augment
from unmask.datasets.cache import Split
from unmask.training.batches import Augmented, Fixed, Steps, collate, loader

aligned = partial(views.aligned_view, size=64, photometric=0.25, augment=Augment().gender)


@given(
    faces=st.integers(1, 40),
    batch=st.integers(1, 12),
    steps=st.integers(1, 6),
    epoch=st.integers(0, 5),
    seed=st.integers(0, 99),
    world=st.integers(1, 4),
)
def test_processes_share_the_global_batch_without_overlap(faces, batch, steps, epoch, seed, world):
    common = ([1.0] * faces, batch, steps, epoch, seed)
    whole = list(Steps(*common))
    parts = [list(Steps(*common, rank, world)) for rank in range(world)]
    assert len(whole) == steps == len(Steps(*common))
    for step, together in enumerate(whole):
        assert [slot for _, slot, _ in together] == list(range(batch))
        assert {number for number, _, _ in together} == {epoch * steps + step}
        shared = [key for part in parts for key in part[step]]
        assert sorted(shared) == together


@given(faces=st.integers(1, 30), batch=st.integers(1, 9), seed=st.integers(0, 99))
def test_a_pass_shows_every_face_once(faces, batch, seed):
    steps = 2 * faces  # at least two passes
    drawn = [
        face
        for epoch in range(2)
        for keys in Steps([1.0] * faces, batch, steps // 2, epoch, seed)
        for _, _, face in keys
    ]
    for start in range(0, len(drawn) - faces + 1, faces):
        assert sorted(drawn[start : start + faces]) == list(range(faces))
    counts = Counter(drawn)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_the_order_is_a_pure_function_of_seed_and_epoch():
    def order(seed: int, epoch: int) -> list:
        return list(Steps([1.0] * 50, 10, 5, epoch, seed))

    sampler = Steps([1.0] * 50, 10, 5, 3, 1)
    assert list(sampler) == list(sampler) == order(1, 3)
    assert order(1, 3) != order(2, 3)
    faces = [[face for keys in order(1, epoch) for _, _, face in keys] for epoch in (0, 1)]
    assert faces[0] != faces[1]
    assert faces[0] != sorted(faces[0])


def test_steps_cut_into_more_epochs_are_the_same_steps():
    once = list(Steps([1.0] * 7, 4, 6, 0, 5))
    twice = [keys for epoch in range(2) for keys in Steps([1.0] * 7, 4, 3, epoch, 5)]
    assert once == twice


def test_an_augmented_sample_depends_on_seed_step_and_slot_alone(split):
    def image(seed: int, key: tuple[int, int, int]) -> np.ndarray:
        return Augmented(split, aligned, seed)[key]["image"]

    first = image(0, (3, 1, 0))
    np.testing.assert_array_equal(first, image(0, (3, 1, 0)))
    for other in (image(1, (3, 1, 0)), image(0, (4, 1, 0)), image(0, (3, 2, 0))):
        assert (first != other).any()


def test_both_variants_of_a_face_are_drawn(split):
    def chosen(_split, _face, variant, _rng):
        return {"variant": np.int64(variant)}

    dataset = Augmented(split, chosen, 0)
    drawn = [int(dataset[(step, 0, 0)]["variant"]) for step in range(60)]
    assert 15 < sum(drawn) < 45


def test_fixed_samples_are_spread_over_the_split_and_the_same_every_time(split):
    dataset = Fixed(split, aligned, 2)
    assert len(dataset) == 2
    assert len(Fixed(split, aligned, 99)) == 3
    np.testing.assert_array_equal(dataset[1]["image"], dataset[1]["image"])
    spread = Fixed(list(range(10)), lambda _, face, variant, rng: {"face": face}, 4)
    assert [spread[index]["face"] for index in range(4)] == [0, 2, 5, 7]
    plain = Fixed(split, partial(plain_view, size=64), 99)[1]["image"]
    np.testing.assert_array_equal(plain, split.masked[1, 0])


def test_collating_makes_channels_first_floats_of_pictures_only(split):
    batch = collate([plain_view(split, face, 0, None, size=64) for face in range(3)])
    assert batch["image"].shape == (3, 3, 64, 64)
    assert batch["image"].dtype == torch.float32
    np.testing.assert_allclose(
        batch["image"][2, 1].numpy(), split.masked[2, 0, :, :, 1] / 255, atol=1e-6
    )
    assert batch["mask"].dtype == torch.bool
    assert batch["landmarks"].shape == (3, 68, 2)
    assert batch["gender"][0] == 1
    assert batch["gender"][1] == 0
    assert batch["gender"][2].isnan()


def batches_of(split: Split, workers: int) -> list[dict[str, np.ndarray]]:
    steps = Steps(len(split), 2, 2, 0, 4)
    batches = loader(Augmented(split, aligned, 4), workers, batch_sampler=steps)
    return [{name: value.numpy() for name, value in batch.items()} for batch in batches]


def test_workers_give_the_batches_of_the_sampler(split):
    # a new process: one that ran a flow of Prefect's has forks that end with status 1
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        forked = fresh.submit(batches_of, split, 1).result()
    dataset = Augmented(split, aligned, 4)
    steps = Steps(len(split), 2, 2, 0, 4)
    for batches in (forked, batches_of(split, 0)):
        for batch, keys in zip(batches, steps, strict=True):
            expected = collate([dataset[key] for key in keys])
            assert batch.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(batch[name], value.numpy())


POOLED = """
import os

import cv2
import numpy as np

from unmask.training.batches import loader

before = len(os.listdir("/proc/self/task"))
cv2.setNumThreads(4)
cv2.warpAffine(np.zeros((512, 512, 3), np.uint8), np.eye(2, 3), (512, 512))
pooled = len(os.listdir("/proc/self/task"))
loader([], 1, batch_size=1)
print(pooled - before, len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted on Linux")
def test_no_thread_of_opencv_is_left_when_workers_are_forked():
    command = [sys.executable, "-c", POOLED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    pooled, left = map(int, done.stdout.split())
    assert pooled > 0
    assert left == 0


def test_faces_come_in_proportion_to_their_weights() -> None:
    weights = [1.0] * 6 + [3.0] * 2
    drawn = [face for keys in Steps(weights, 4, 60, 0, 1) for _, _, face in keys]
    counts = np.bincount(drawn, minlength=8)
    np.testing.assert_allclose(counts, 240 * np.array(weights) / 12, atol=3)
