"""Training of the inpainting GAN."""

from collections.abc import Callable
from functools import partial
from typing import Self, cast

import numpy as np
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from unmask.augmentation.holes import inpainting_view, plain_inpainting_view
from unmask.config.augment import InpaintingViews
from unmask.config.params import Inpainting
from unmask.datasets.cache import Split
from unmask.losses.inpainting import (
    DISTANCE_LEVELS,
    discriminator_loss,
    feature_matching_loss,
    generator_loss,
    kl_divergence,
    masked_l1,
    perceptual_distances,
    perceptual_loss,
    style_loss,
)
from unmask.metrics.region import BEST_PSNR, FRAME, region_detail, region_psnr, sharpness
from unmask.models.backbone import Backbone
from unmask.models.inpainting import Discriminator, PosteriorEncoder
from unmask.models.network import Network
from unmask.sheets import grid
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels, scheduled

_FINE = (0, 1, 2)  # levels of the perceptual and style losses, strides 2, 4, 8
_COARSE_WEIGHT = 0.5  # of the coarse output's L1, where there is a detail stage
_BY_BLOCK = ("stem.", "output.", "detail.")  # layers whose shapes depend on the block's side
_GRADIENT_NORM = 5.0  # what the generator's gradients are clipped to

_Weights = tuple[Tensor, ...] | list[Tensor]


def _moving_average(decay: float) -> Callable[[_Weights, _Weights, Tensor | int], None]:
    """Make AveragedModel's update: an exponential moving average of weights.

    In the first steps the decay is smaller, so that the initial weights are soon forgotten.
    """

    @torch.no_grad()
    def update(average: _Weights, current: _Weights, count: Tensor | int) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(average, current, 1 - kept)

    return update


class InpaintingModule(NetworkModule):
    """Trains by reconstruction, perceptual, style, adversarial and feature-matching losses.

    The generator that is validated and stored is the moving average of its weights.

    Half of the faces are filled with z = 0, from which the generator learns the most plausible
    face; for the others z is sampled from the posterior given the true face, from which it learns
    what z may change.

    Its input landmarks are the landmark network's predictions, as in the chain: from true ones with
    noise it would learn to rely on the position of a mouth that no one can see.

    Arguments are those of NetworkModule.
    """

    name, monitor, mode = "inpainting", "val/hole_psnr", "max"
    guided_by = "landmarks"
    params: Inpainting
    augment: InpaintingViews

    def __init__(
        self,
        params: Inpainting,
        augment: InpaintingViews,
        train: Split,
        val: Split,
        seed: int,
        workers: int = 0,
    ) -> None:
        super().__init__(params, augment, train, val, seed, workers)
        self.automatic_optimization = False
        self.posterior = PosteriorEncoder(params.latent)
        self.discriminator = Discriminator().to(memory_format=torch.channels_last)
        self.average = AveragedModel(self.network, multi_avg_fn=_moving_average(params.ema))
        self.average.requires_grad_(False)
        levels = range(1 + max(DISTANCE_LEVELS if params.distance else _FINE))
        features = Backbone(params.backbone, tuple(levels), pretrained=params.pretrained)
        self.features = features.to(memory_format=torch.channels_last).requires_grad_(False)
        self.features.eval()  # Lightning keeps each module's mode when training begins
        self._details: list[tuple[np.ndarray, np.ndarray]] = []

    def start_from(self, network: Network) -> None:
        """Start training from the weights of a stored network.

        Of a network that works on blocks of another size only those of the inner levels are used.

        Raises:
            UnmaskError: when the inner levels have other widths.
        """
        state, own = network.state_dict(), self.network.state_dict()
        usable = {
            key: value
            for key, value in state.items()
            if not key.startswith(_BY_BLOCK) or (key in own and own[key].shape == value.shape)
        }
        initial = {key: value for key, value in own.items() if key.startswith(_BY_BLOCK)}
        self.load(initial | usable)
        self.average.module.load_state_dict(self.network.state_dict())

    def training_sample(self) -> Sample:
        """Return the maker of samples with a hole as a predicted mask would leave it."""
        return partial(
            inpainting_view,
            size=self.params.image_size,
            latent=self.params.latent,
            augment=self.augment,
        )

    def validation_sample(self) -> Sample:
        """Return the maker of samples with the true mask, grown a little, as the hole."""
        return partial(plain_inpainting_view, size=self.params.image_size)

    def trained(self) -> nn.Module:
        """Return the generator with the moving average of its weights."""
        return self.average.module

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Train generator and posterior by one AdamW, the discriminator by another."""
        generator = torch.optim.AdamW(
            [*self.network.parameters(), *self.posterior.parameters()],
            self.params.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=self.params.weight_decay,
        )
        discriminator = torch.optim.AdamW(
            self.discriminator.parameters(),
            self.params.discriminator_learning_rate,
            betas=(0.5, 0.99),
            weight_decay=0.0,
        )
        steps, late, hold = self.params.steps, self.params.adversarial_from, self.params.hold
        return [generator, discriminator], [
            scheduled(generator, steps, hold),
            scheduled(discriminator, max(1, steps - late), hold),
        ]

    def _latent(self, batch: dict[str, Tensor], hole: Tensor) -> tuple[Tensor, Tensor]:
        """Sample z of the faces whose `use_posterior` is set from the posterior; others get zeros.

        Args:
            batch: of which image, noise and use_posterior are read.
            hole: (N, 1, S, S), 1 in the hole, else 0.

        Returns:
            Z (N, latent), and the mean divergence of the posterior in nats, a scalar.
        """
        mean, log_variance = self.posterior(batch["image"], hole)
        use_posterior = batch["use_posterior"].to(mean.dtype)
        z = mean + batch["noise"] * (0.5 * log_variance).exp()
        divergence = kl_divergence(mean, log_variance, self.params.free_nats)
        return z * use_posterior[:, None], (divergence * use_posterior).mean()

    @torch.no_grad()
    def landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """Predict the landmarks (N, 68, 2) of the masked faces, in pixels of side `image_size`."""
        side, size = self.params.image_size, self.guide.image_size
        masked = batch["masked"]
        if size != side:
            masked = functional.interpolate(
                masked, size=(size, size), mode="bilinear", antialias=True
            )
        return (self.guide(masked) + 0.5) * (side / size) - 0.5

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but keep the fixed networks in eval mode."""
        super().train(mode)
        for fixed in (self.features, self.guide):
            fixed.eval()  # its batch norms must not adapt to the batch
        return self

    def _optimizers(self) -> tuple[LightningOptimizer, LightningOptimizer]:
        """Of the generator with the posterior, and of the discriminator."""
        generator, discriminator = cast(list[LightningOptimizer], self.optimizers())
        return generator, discriminator

    def _schedules(self) -> tuple[LRScheduler, LRScheduler]:
        """The learning rates' schedules, in the optimisers' order."""
        generator, discriminator = cast(list[LRScheduler], self.lr_schedulers())
        return generator, discriminator

    def training_step(self, batch: dict[str, Tensor], index: int) -> None:
        """Update the discriminator, once it takes part, then the generator; log the losses.

        Args:
            batch: collated samples of `training_sample`.
            index: of the batch in the epoch.
        """
        params, true = self.params, batch["image"]
        hole = batch["hole"][:, None].float()
        valid = batch["valid"][:, None].float()
        counts = hole * valid
        latent, divergence = self._latent(batch, hole)
        landmarks = self.landmarks(batch)
        coarse, filled = self.network(
            batch["masked"], hole, landmarks, batch["gender"], latent, both=True
        )
        composed = torch.where(counts > 0.5, filled, true)

        # not `global_step`, in which Lightning counts the steps of both optimisers
        step = self.current_epoch * params.epoch_steps + index
        adversarial = step >= params.adversarial_from
        generator, discriminator = self._optimizers()
        generator_schedule, discriminator_schedule = self._schedules()
        losses = {}
        if adversarial:
            real, real_features = self.discriminator(true, hole)
            fake, _ = self.discriminator(composed.detach(), hole)
            losses["discriminator"] = discriminator_loss(real.float(), fake.float(), counts)
            discriminator.zero_grad()
            self.manual_backward(losses["discriminator"])
            discriminator.step()
            discriminator_schedule.step()

        losses["l1"] = masked_l1(filled, true, counts)
        losses["divergence"] = divergence
        total = losses["l1"] + params.divergence * divergence
        if params.detail:
            losses["coarse_l1"] = masked_l1(coarse, true, counts)
            total = total + _COARSE_WEIGHT * losses["coarse_l1"]
        if params.perceptual or params.style or params.distance:
            with torch.no_grad():
                true_levels = self.features(true)
            levels = self.features(composed)
            near = functional.max_pool2d(counts, 9, stride=1, padding=4)
            fine, true_fine = ([maps[i] for i in _FINE] for maps in (levels, true_levels))
            losses["perceptual"] = perceptual_loss(fine, true_fine, near)
            total = total + params.perceptual * losses["perceptual"]
            if params.style:
                losses["style"] = style_loss(fine, true_fine, near)
                total = total + params.style * losses["style"]
            if params.distance:
                deep, true_deep = (
                    [maps[i] for i in DISTANCE_LEVELS] for maps in (levels, true_levels)
                )
                losses["distance"] = perceptual_distances(deep, true_deep, counts).mean()
                total = total + params.distance * losses["distance"]
        if adversarial:
            self.discriminator.requires_grad_(False)
            fake, fake_features = self.discriminator(composed, hole)
            self.discriminator.requires_grad_(True)
            losses["adversarial"] = generator_loss(fake.float(), counts)
            # the true faces' features are those before the discriminator's step: no second pass
            losses["feature_matching"] = feature_matching_loss(real_features, fake_features, counts)
            total = total + params.adversarial * losses["adversarial"]
            total = total + params.feature_matching * losses["feature_matching"]
        generator.zero_grad()
        self.manual_backward(total)
        self.clip_gradients(generator.optimizer, _GRADIENT_NORM, "norm")
        generator.step()
        self.average.update_parameters(self.network)
        generator_schedule.step()
        self.report({**losses, "loss": total})

    def _filled(self, batch: dict[str, Tensor], latent: Tensor) -> Tensor:
        """Faces (N, 3, S, S) RGB in [0, 1], filled by the averaged generator with z (N, latent)."""
        return self.average.module(
            batch["masked"],
            batch["hole"][:, None].float(),
            self.landmarks(batch),
            batch["gender"],
            latent,
        ).clamp(0, 1)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation's detail."""
        self._details.clear()

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        """Log the PSNR of holes filled with z = 0; keep the detail of the faces marked sharp."""
        zeros = batch["image"].new_zeros(len(batch["image"]), self.params.latent)
        filled, true = pixels(self._filled(batch, zeros)), pixels(batch["image"])
        region = (batch["hole"] & batch["valid"]).cpu().numpy()
        scored = region.any(axis=(1, 2))
        if scored.any():
            psnr = region_psnr(filled[scored], true[scored], region[scored])
            self.log(
                "val/hole_psnr", float(np.minimum(psnr, BEST_PSNR).mean()), batch_size=len(psnr)
            )
        sharp = scored & (batch["sharp"].cpu().numpy() > 0)
        if sharp.any():
            scale = np.full(int(sharp.sum()), self.params.image_size / FRAME)
            restored, expected = (
                region_detail(pictures[sharp], region[sharp], scale) for pictures in (filled, true)
            )
            self._details.append((restored, expected))

    def on_validation_epoch_end(self) -> None:
        """Log the sharpness of the faces whose details were kept, where it is defined."""
        if not self._details:
            return
        restored, true = (np.concatenate(part) for part in zip(*self._details, strict=True))
        ratio = sharpness(restored, true)
        if np.isfinite(ratio):
            self.log("val/sharpness", ratio)

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        """Draw eight faces in rows: with their hole, filled with z = 0 and a random z, true."""
        batch = {name: values[:8] for name, values in batch.items()}
        count = len(batch["image"])
        generator = torch.Generator().manual_seed(0)
        noise = torch.randn(count, self.params.latent, generator=generator).to(self.device)
        hole = batch["hole"][:, None]
        rows = [
            torch.where(hole, 0.5, batch["image"]),
            self._filled(batch, torch.zeros_like(noise)),
            self._filled(batch, noise),
            batch["image"],
        ]
        return grid([list(pixels(row)) for row in rows])
