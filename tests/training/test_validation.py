"""Validation while training logs the figures that `evaluate` reports, over the faces that count."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unmask.training.batches import collate
from unmask.training.module import NetworkModule
from unmask.training.train import make_module


class Answers(nn.Module):
    """A network whose answer is fixed."""

    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, images: Tensor) -> object:
        return self.answer


@pytest.fixture
def validated(smoke, split, models) -> Callable[..., tuple[NetworkModule, dict, dict]]:
    """Makes a module, a batch of the split's three faces, and the dict that it logs to."""

    def make(name: str) -> tuple[NetworkModule, dict, dict]:
        section = getattr(smoke.train, name).model_copy(update={"pretrained": False})
        module = make_module(name, section, getattr(smoke.augment, name), split, split, 0, models)
        logged = {}

        def log(name, value, batch_size=None):
            logged[name] = (float(value), batch_size)

        module.log = log
        module.log_dict = lambda values, batch_size: [log(*v, batch_size) for v in values.items()]
        sample = module.validation_sample()
        batch = collate([sample(split, i, 0, np.random.default_rng(0)) for i in range(3)])
        return module.eval(), batch, logged

    return make


def test_gender_counts_labelled_faces_only(validated):
    module, batch, logged = validated("gender")  # male, female, unlabelled
    module.network = Answers(torch.tensor([2.0, -1.0, -5.0]))
    module.validation_step(batch)
    assert logged["val/accuracy"] == (1, 2)


def test_landmarks_log_the_nme(validated):
    module, batch, logged = validated("landmarks")
    true = batch["landmarks"]
    module.network = Answers(true + torch.tensor([3.0, 4.0]))
    module.validation_step(batch)
    expected = (5 / (true[:, 36] - true[:, 45]).norm(dim=1)).mean()
    assert logged["val/nme"] == (pytest.approx(float(expected), rel=1e-5), 3)


def test_segmentation_logs_the_iou(validated):
    module, batch, logged = validated("segmentation")
    half = batch["mask"].clone()
    half[0] = False
    module.network = Answers((half.float(), torch.ones(3)))
    module.validation_step(batch)
    assert logged["val/iou"] == (pytest.approx(2 / 3), 3)


def inpainted(module, batch, fill: Callable[[Tensor], Tensor], monkeypatch) -> None:
    monkeypatch.setattr(module, "_filled", lambda batch, latent: fill(batch["image"]))
    module.on_validation_epoch_start()
    module.validation_step(batch)
    module.on_validation_epoch_end()


def test_an_exact_hole_is_sharp_and_its_psnr_finite(validated, monkeypatch):
    module, batch, logged = validated("inpainting")
    inpainted(module, batch, lambda true: true, monkeypatch)
    assert logged["val/hole_psnr"] == (60, 3)
    assert logged["val/sharpness"][0] == 1


def test_faces_without_a_visible_hole_do_not_count(validated, monkeypatch):
    module, batch, logged = validated("inpainting")
    batch["valid"][0] = False
    inpainted(module, batch, lambda true: (true * 255 + 5).round() / 255, monkeypatch)
    psnr, faces = logged["val/hole_psnr"]
    assert faces == 2
    assert psnr == pytest.approx(20 * np.log10(255 / 5), abs=0.5)  # some pixels are clipped
    batch["valid"][:] = False
    logged.clear()
    inpainted(module, batch, lambda true: true, monkeypatch)
    assert logged == {}


def test_sharpness_is_of_the_faces_that_show_full_detail(validated, monkeypatch):
    module, batch, logged = validated("inpainting")
    assert batch["sharp"].tolist() == [1, 1, 0]
    noise = torch.rand(batch["image"].shape, generator=torch.Generator().manual_seed(0))

    def noisy_where_unsharp(true: Tensor) -> Tensor:
        return torch.where(batch["sharp"][:, None, None, None] > 0, true, noise)

    inpainted(module, batch, noisy_where_unsharp, monkeypatch)
    assert logged["val/sharpness"][0] == 1
    inpainted(module, batch, lambda true: true / 2 + 0.25, monkeypatch)
    assert logged["val/sharpness"][0] == pytest.approx(0.5, abs=0.05)  # rounded to 8 bits
