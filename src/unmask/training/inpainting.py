"""Training of the inpainting GAN."""

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from unmask.augmentation.holes import holed, holed_unchanged
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
from unmask.models.backbone import Backbone
from unmask.models.inpainting import Discriminator, PosteriorEncoder
from unmask.sheets import grid
from unmask.training.batches import Sample
from unmask.training.module import NetworkModule, pixels, scheduled

_FINE = (0, 1, 2)  # levels of the perceptual and style losses, strides 2, 4, 8
_COARSE_WEIGHT = 0.5  # of the coarse answer's L1, where there is a finer one
_BY_BLOCK = ("stem.", "output.", "detail.")  # layers whose shape follows the block's side
_GRADIENT_NORM = 5.0


def _moving_average(decay: float):
    """The exponential moving average of weights; the first steps forget faster, so that it never
    holds the weights that a training began with for long."""

    @torch.no_grad()
    def update(average: list[Tensor], current: list[Tensor], count: Tensor | int) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        torch._foreach_lerp_(average, current, 1 - kept)

    return update


def _detail(images: Tensor) -> Tensor:
    """How far pixels lie from the mean of the 9 x 9 around them, (N, S, S)."""
    around = functional.avg_pool2d(functional.pad(images, (4,) * 4, mode="reflect"), 9, stride=1)
    return (images - around).abs().mean(dim=1)


class InpaintingModule(NetworkModule):
    """Reconstruction, perceptual, style, adversarial and feature-matching losses; EMA weights.

    Half the faces are filled with z = 0, from which the network learns the most plausible answer;
    the others draw z from the posterior of the true face, from which it learns what z may change.

    The landmarks that guide it are the landmark network's own, as in the chain: true ones with
    noise would teach it to trust a mouth that no one can see.
    """

    name, monitor, mode = "inpainting", "val/hole_psnr", "max"
    guided_by = "landmarks"

    def __init__(
        self, params: Inpainting, train: Split, val: Split, seed: int, workers: int = 0
    ) -> None:
        super().__init__(params, train, val, seed, workers)
        self.automatic_optimization = False
        self.posterior = PosteriorEncoder(params.latent)
        self.discriminator = Discriminator().to(memory_format=torch.channels_last)
        self.average = AveragedModel(self.network, multi_avg_fn=_moving_average(params.ema))
        self.average.requires_grad_(False)
        levels = range(1 + max(DISTANCE_LEVELS if params.distance else _FINE))
        features = Backbone(params.backbone, tuple(levels), pretrained=params.pretrained)
        self.features = features.to(memory_format=torch.channels_last).requires_grad_(False)
        self.features.eval()  # Lightning trains modules in the mode they come in

    def follow(self, guide: nn.Module) -> None:
        """Take the landmark network that guides it."""
        self.guide = guide.to(memory_format=torch.channels_last).requires_grad_(False).eval()

    def start_from(self, network: nn.Module) -> None:
        """Start from a stored network's weights; of one that works on blocks of another size, from
        those of its inner levels.

        Raises:
            StartError: when the inner levels have other widths.
        """
        state, own = network.state_dict(), self.network.state_dict()
        taken = {
            key: value
            for key, value in state.items()
            if not key.startswith(_BY_BLOCK) or (key in own and own[key].shape == value.shape)
        }
        left = {key: value for key, value in own.items() if key.startswith(_BY_BLOCK)}
        self.load(left | taken)
        self.average.module.load_state_dict(self.network.state_dict())

    def training_sample(self) -> Sample:
        return partial(holed, size=self.params.image_size, latent=self.params.latent)

    def validation_sample(self) -> Sample:
        return partial(holed_unchanged, size=self.params.image_size)

    def trained(self) -> nn.Module:
        return self.average.module

    def configure_optimizers(self):
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
        """z (N, latent) of each face, zeros where it is not drawn from the posterior, and the mean
        divergence in nats."""
        mean, log_variance = self.posterior(batch["image"], hole)
        use_posterior = batch["use_posterior"].to(mean.dtype)
        z = mean + batch["noise"] * (0.5 * log_variance).exp()
        divergence = kl_divergence(mean, log_variance, self.params.free_nats)
        return z * use_posterior[:, None], (divergence * use_posterior).mean()

    @torch.no_grad()
    def landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """What the guide sees in the masked faces, (N, 68, 2) pixels."""
        side, size = self.params.image_size, self.guide.image_size
        seen = batch["masked"]
        if size != side:
            seen = functional.interpolate(seen, size=(size, size), mode="bilinear", antialias=True)
        return (self.guide(seen) + 0.5) * (side / size) - 0.5

    def train(self, mode: bool = True) -> "InpaintingModule":
        super().train(mode)
        for fixed in (self.features, self.guide):
            fixed.eval()  # its batch norms must not follow the batch
        return self

    def training_step(self, batch: dict[str, Tensor], index: int) -> None:
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

        # Lightning counts every optimiser's steps as one, hence the count of its own
        step = self.current_epoch * params.epoch_steps + index
        against = step >= params.adversarial_from
        generator, discriminator = self.optimizers()
        losses = {}
        if against:
            real, real_features = self.discriminator(true, hole)
            fake, _ = self.discriminator(composed.detach(), hole)
            losses["discriminator"] = discriminator_loss(real.float(), fake.float(), counts)
            discriminator.zero_grad()
            self.manual_backward(losses["discriminator"])
            discriminator.step()
            self.lr_schedulers()[1].step()

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
            fine = [[maps[level] for level in _FINE] for maps in (levels, true_levels)]
            losses["perceptual"] = perceptual_loss(*fine, near)
            total = total + params.perceptual * losses["perceptual"]
            if params.style:
                losses["style"] = style_loss(*fine, near)
                total = total + params.style * losses["style"]
            if params.distance:
                deep = [
                    [maps[level] for level in DISTANCE_LEVELS] for maps in (levels, true_levels)
                ]
                losses["distance"] = perceptual_distances(*deep, counts).mean()
                total = total + params.distance * losses["distance"]
        if against:
            self.discriminator.requires_grad_(False)
            fake, fake_features = self.discriminator(composed, hole)
            self.discriminator.requires_grad_(True)
            losses["adversarial"] = generator_loss(fake.float(), counts)
            # the real features are of before the discriminator's step, which spares a pass
            losses["feature_matching"] = feature_matching_loss(real_features, fake_features, counts)
            total = total + params.adversarial * losses["adversarial"]
            total = total + params.feature_matching * losses["feature_matching"]
        generator.zero_grad()
        self.manual_backward(total)
        self.clip_gradients(generator, _GRADIENT_NORM, "norm")
        generator.step()
        self.average.update_parameters(self.network)
        self.lr_schedulers()[0].step()
        self.report({**losses, "loss": total})

    def _filled(self, batch: dict[str, Tensor], latent: Tensor) -> Tensor:
        return self.average.module(
            batch["masked"],
            batch["hole"][:, None].float(),
            self.landmarks(batch),
            batch["gender"],
            latent,
        ).clamp(0, 1)

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        zeros = batch["image"].new_zeros(len(batch["image"]), self.params.latent)
        filled = self._filled(batch, zeros)
        error = (filled - batch["image"]).square().mean(dim=1)
        region = batch["hole"] & batch["valid"]
        mean = (error * region).sum(dim=(1, 2)) / region.sum(dim=(1, 2)).clamp_min(1)
        psnr = -10 * mean.clamp_min(1e-8).log10()
        self.log("val/hole_psnr", psnr.mean(), batch_size=len(psnr))
        sharp = batch["sharp"] > 0
        if sharp.any():
            inner = (region & (_detail(region[:, None].float()) == 0))[sharp]
            found, true = (
                (_detail(images[sharp]) * inner).sum() for images in (filled, batch["image"])
            )
            self.log("val/sharpness", found / true.clamp_min(1e-6), batch_size=int(sharp.sum()))

    def sheet(self, batch: dict[str, Tensor]) -> np.ndarray:
        batch = {name: values[:8] for name, values in batch.items()}
        count = len(batch["image"])
        noise = torch.Generator().manual_seed(0)
        drawn = torch.randn(count, self.params.latent, generator=noise).to(self.device)
        hole = batch["hole"][:, None]
        rows = [
            torch.where(hole, 0.5, batch["image"]),
            self._filled(batch, torch.zeros_like(drawn)),
            self._filled(batch, drawn),
            batch["image"],
        ]
        return grid([list(pixels(row)) for row in rows])
