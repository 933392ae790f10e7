"""What each loss of the inpainting network is learned from."""

import lightning as L
import pytest

from unmask.data.cache import open_split
from unmask.training.stage import make_module, make_trainer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("scale", [1.0, 0.1], ids=["sharp", "enlarged"])
def test_only_the_discriminator_passes_over_enlarged_faces(scale, smoke, masked, models, tmp_path):
    changes = {"steps": 2, "epoch_steps": 2, "adversarial_from": 0}
    section = smoke.train.inpainting.model_copy(update=changes)
    train, val = (open_split(masked, split, tmp_path) for split in ("train", "val"))
    for label in train.labels:
        label["scale"] = scale
    L.seed_everything(0, verbose=False)
    module = make_module("inpainting", section, train, val, 0, models)
    trainer = make_trainer(section, [], 1)
    trainer.fit(module)
    losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert losses["train/l1"] > 0
    assert losses["train/perceptual"] > 0
    for name in ("discriminator", "feature_matching"):
        assert (losses[f"train/{name}"] > 0) == (scale == 1.0), name
