"""Early stopping that gives back the weights of the best validation score."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks.early_stopping import EarlyStopping, EarlyStoppingReason
from torch import Tensor, nn

from unmask.training.module import NetworkModule


class BestWeights(EarlyStopping):
    """Stops after `patience` epochs without a better score and keeps the best epoch's weights.

    They travel in the training's checkpoint, as this callback's state.

    Args:
        module: whose monitored score is watched, and whose trained network is kept.
        patience: epochs.
    """

    def __init__(self, module: NetworkModule, patience: int) -> None:
        super().__init__(
            module.monitor,
            mode=module.mode,
            patience=patience,
            check_on_train_epoch_end=False,  # Lightning would do it after the checkpoint is written
        )
        self._module = module
        self._weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """What the checkpoint keeps: the best weights too."""
        return {**super().state_dict(), "weights": self._weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        super().load_state_dict(state_dict)
        self._weights = state_dict["weights"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Train no further where the training had stopped before it was interrupted."""
        trainer.should_stop = self.stopping_reason is not EarlyStoppingReason.NOT_STOPPED

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the weights of an epoch that is better than all before."""
        best = self.best_score
        super().on_validation_end(trainer, pl_module)
        if trainer.should_stop and self.stopping_reason is EarlyStoppingReason.NOT_STOPPED:
            # another process decided, whose score differs in its last bits
            self.stopping_reason = EarlyStoppingReason.PATIENCE_EXHAUSTED
        if self.best_score is not best or not self._weights:
            state = self._module.trained().state_dict()
            self._weights = {name: value.detach().cpu().clone() for name, value in state.items()}

    def restore(self) -> nn.Module:
        """The network to store, with the best weights."""
        network = self._module.trained()
        network.load_state_dict(self._weights)
        return network
