"""With `patience`, the network stored is that of the epoch with the best validation score."""

import shutil
from pathlib import Path

import pytest
import torch
from project import DVC_YAML
from torch import Tensor

from unmask.config.params import Params
from unmask.models.stored import load_network
from unmask.training import train as stage
from unmask.training.module import NetworkModule

SCORES = [0.1, 0.3, 0.2, 0.25, 0.9, 0.95]  # by epoch; with a patience of 2 the last are not seen
BEST, STOP = 1, 3  # epochs


class Recorded:
    """Trainings of 6 epochs whose scores are SCORES, with the weights at the end of each epoch."""

    def __init__(
        self, smoke: Params, masked: Path, models: Path, patch: pytest.MonkeyPatch
    ) -> None:
        self._smoke, self._masked, self._models, self._patch = smoke, masked, models, patch
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.cut_at: int | None = None

    def train(self, name: str, **changes: object) -> dict[str, Tensor]:
        """Train and load what was stored; ends with an error after the epoch `cut_at`."""
        kind: type[NetworkModule] = stage.MODULES[name]
        recorded = self

        class Scored(kind):
            def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
                score = SCORES[self.current_epoch]
                self.log(self.monitor, score if self.mode == "max" else -score, batch_size=1)

            def on_train_epoch_start(self) -> None:
                if self.current_epoch == recorded.cut_at:
                    raise InterruptedError

            def on_train_epoch_end(self) -> None:
                state = self.trained().state_dict()
                weights = {key: value.clone() for key, value in state.items()}
                recorded.weights[self.current_epoch] = weights

        small = {"steps": 6, "epoch_steps": 1, "adversarial_from": 2, "patience": 2, **changes}
        section = getattr(self._smoke.train, name)
        small = {key: value for key, value in small.items() if hasattr(section, key)}
        networks = self._smoke.train.model_copy(update={name: section.model_copy(update=small)})
        params = self._smoke.model_copy(update={"train": networks})
        self._patch.setitem(stage.MODULES, name, Scored)
        stage.train_network(name, params, self._masked, self._models)
        return load_network(self._models / name).state_dict()


@pytest.fixture
def recorded(smoke, masked, models, tmp_path, monkeypatch) -> Recorded:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("{}")
    shutil.copytree(models, tmp_path / "models")
    return Recorded(smoke, masked, tmp_path / "models", monkeypatch)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, weights in expected.items():
        assert torch.equal(found[name], weights), name


@pytest.mark.parametrize("name", ["gender", "landmarks", "inpainting"])
def test_the_best_weights_are_stored_where_training_stops_early(name, recorded):
    stored = recorded.train(name)
    assert max(recorded.weights) == STOP
    assert_same(stored, recorded.weights[BEST])


def test_the_best_weights_are_stored_where_the_steps_run_out(recorded):
    stored = recorded.train("gender", steps=3)
    assert max(recorded.weights) == 2
    assert_same(stored, recorded.weights[BEST])


def test_the_best_weights_survive_an_interruption(recorded):
    recorded.cut_at = STOP
    with pytest.raises(InterruptedError):
        recorded.train("inpainting")
    best = recorded.weights[BEST]
    recorded.cut_at, recorded.weights = None, {}
    stored = recorded.train("inpainting")
    assert list(recorded.weights) == [STOP]
    assert_same(stored, best)


def test_a_training_that_stopped_before_it_was_stored_trains_no_further(recorded, monkeypatch):
    def full(*_) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(stage, "save_network", full)
        with pytest.raises(OSError, match="full"):
            recorded.train("gender")
    best, recorded.weights = recorded.weights[BEST], {}
    stored = recorded.train("gender")
    assert recorded.weights == {}
    assert_same(stored, best)


def test_without_patience_the_last_weights_are_stored(recorded):
    stored = recorded.train("gender", patience=None)
    assert_same(stored, recorded.weights[len(SCORES) - 1])
