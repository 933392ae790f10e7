"""Each network learns one batch by heart: the loss, the gradients and the data fit together."""

import numpy as np
import pytest
import torch

from unmask.config.params import Params
from unmask.datasets.cache import open_split
from unmask.errors import UnmaskError
from unmask.models.stored import load_network
from unmask.training.batches import collate
from unmask.training.train import make_module

pytestmark = pytest.mark.train


def one_batch(module, split, count=4):
    sample = module.validation_sample()
    return collate([sample(split, i, 0, np.random.default_rng(i)) for i in range(count)])


def module_of(name: str, smoke: Params, masked, models, tmp_path):
    section = getattr(smoke.train, name).model_copy(update={"steps": 60})
    split = open_split(masked, "train", tmp_path)
    torch.manual_seed(0)
    module = make_module(name, section, getattr(smoke.augment, name), split, split, 0, models)
    module.report = lambda losses: None
    return module, one_batch(module, split)


@pytest.mark.parametrize(
    ("name", "rate", "steps", "share"),
    [("gender", 1e-3, 25, 0.5), ("landmarks", 1e-3, 90, 0.5), ("segmentation", 2e-3, 40, 0.4)],
)
def test_loss_of_one_batch_falls(name, rate, steps, share, smoke, masked, models, tmp_path):
    module, batch = module_of(name, smoke, masked, models, tmp_path)
    optimizer = torch.optim.AdamW(module.network.parameters(), rate)
    module.train()
    losses = []
    for _ in range(steps):
        loss = module.training_step(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < share * losses[0]


def test_inpainting_learns_one_batch_by_heart(smoke, masked, models, tmp_path):
    from unmask.losses.inpainting import masked_l1

    module, batch = module_of("inpainting", smoke, masked, models, tmp_path)
    optimizer = torch.optim.AdamW(module.network.parameters(), 3e-3)
    hole = batch["hole"][:, None].float()
    latent = torch.zeros(len(hole), smoke.train.inpainting.latent)
    landmarks, losses = module.landmarks(batch), []
    for _ in range(150):
        filled = module.network(batch["image"], hole, landmarks, batch["gender"], latent)
        loss = masked_l1(filled, batch["image"], hole)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]


def test_networks_that_are_not_trained_never_follow_the_batch(smoke, masked, models, tmp_path):
    module, _ = module_of("inpainting", smoke, masked, models, tmp_path)
    for fixed in ("features", "guide"):
        assert not getattr(module, fixed).training
        assert not getattr(module.eval().train(), fixed).training
        assert not any(weights.requires_grad for weights in getattr(module, fixed).parameters())


def test_the_guide_is_the_stored_landmark_network(smoke, masked, models, tmp_path):
    module, batch = module_of("inpainting", smoke, masked, models, tmp_path)
    expected = load_network(models / "landmarks")(batch["masked"])
    torch.testing.assert_close(module.landmarks(batch), expected)
    with pytest.raises(UnmaskError, match=r"landmarks.*is missing: run `dvc repro`"):
        module_of("inpainting", smoke, masked, tmp_path, tmp_path)
