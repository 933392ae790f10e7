"""The landmark-guided inpainting GAN: generator, posterior encoder and patch discriminator.

After LaFIn (Yang et al. 2019) and the paper's Section III-D, as a residual U-Net whose stem and
output work on blocks of pixels (Shi et al. 2016) so that it is fast on a CPU. At 256 pixels it is
coarse to fine: the U-Net on blocks of 4 x 4 gives structure and colour, a light stage on blocks of
2 x 2 what makes them sharp. A latent z, learned as in a conditional VAE (Sohn et al. 2015; Zheng et
al. 2019), gives several plausible faces.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from unmask.config.params import Inpainting
from unmask.geometry.landmarks import BROWS, EYES, JAW, MOUTH, NOSE

_PARTS = (JAW, BROWS, NOSE, EYES, MOUTH)
_CONDITION = 128
_FIRST_LOG_VARIANCE = -2.5  # of z: 0.79 nats a number, less than profiles let each tell at no cost


def landmark_maps(landmarks: Tensor, size: int, block: int = 2) -> Tensor:
    """Gaussian maps of jaw, brows, nose, eyes and mouth, a pixel a block of the picture.

    Args:
        landmarks: (N, 68, 2) pixels of a picture of side `size`.
        block: side of a block in pixels.

    Returns:
        (N, 5, size / block, size / block) in [0, 1].
    """
    side = size // block
    centres = (landmarks + 0.5) / block - 0.5
    grid = torch.arange(side, device=landmarks.device, dtype=landmarks.dtype)
    sigma = side / 64
    along = torch.exp(-((grid - centres[..., None]) ** 2) / (2 * sigma**2))  # N, 68, 2, side
    points = along[:, :, 1, :, None] * along[:, :, 0, None, :]
    return torch.stack([points[:, part].amax(dim=1) for part in _PARTS], dim=1)


class _Block(nn.Module):
    """Two convolutions with a residual, modulated by the condition (FiLM, Perez et al. 2018)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.skip = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(8, outputs)
        self.film = nn.Linear(_CONDITION, 2 * outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        gain, shift = self.film(condition)[:, :, None, None].chunk(2, dim=1)
        hidden = self.norm(self.first(features)) * (1 + gain) + shift
        return self.skip(features) + self.second(functional.silu(hidden))


class _Detail(nn.Module):
    """What the coarse answer lacks, from it, the picture and the U-Net's last features.

    It starts at zero, so that the first answer is the coarse one.

    Args:
        inputs: channels of the U-Net's last features.
        block: side in pixels of the U-Net's blocks.
        width: channels on blocks of 2 x 2 pixels.
    """

    def __init__(self, inputs: int, block: int, width: int) -> None:
        super().__init__()
        finer = block // 2
        self.look = nn.Conv2d(4 * (3 + 4), width, 3, padding=1)
        self.lift = nn.Sequential(nn.Conv2d(inputs, width * finer**2, 1), nn.PixelShuffle(finer))
        self.blocks = nn.ModuleList([_Block(2 * width, width), _Block(width, width)])
        self.output = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, 4 * 3, 3, padding=1), nn.PixelShuffle(2)
        )
        nn.init.zeros_(self.output[1].weight)
        nn.init.zeros_(self.output[1].bias)

    def forward(self, composed: Tensor, seen: Tensor, features: Tensor, condition: Tensor):
        looked = self.look(functional.pixel_unshuffle(torch.cat([composed, seen], dim=1), 2))
        hidden = torch.cat([looked, self.lift(features)], dim=1)
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.output(hidden)


class Generator(nn.Module):
    """Fills the hole of a face."""

    def __init__(self, params: Inpainting) -> None:
        super().__init__()
        widths, area = params.channels, params.block**2
        self.latent, self.block = params.latent, params.block
        self.condition = nn.Sequential(
            nn.Linear(2 + params.latent, _CONDITION), nn.SiLU(), nn.Linear(_CONDITION, _CONDITION)
        )
        self.stem = nn.Conv2d(4 * area + len(_PARTS), widths[0], 3, padding=1)
        self.down = nn.ModuleList(_Block(w, w) for w in widths[:-1])
        self.shrink = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in itertools.pairwise(widths)
        )
        self.middle = nn.ModuleList(_Block(widths[-1], widths[-1]) for _ in range(params.middle))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(_Block(2 * w, w) for w in widths[:-1])
        self.output = nn.Sequential(
            nn.SiLU(), nn.Conv2d(widths[0], 3 * area, 3, padding=1), nn.PixelShuffle(params.block)
        )
        self.detail = _Detail(widths[0], params.block, params.detail) if params.detail else None

    def forward(
        self,
        images: Tensor,
        hole: Tensor,
        landmarks: Tensor,
        gender: Tensor,
        latent: Tensor,
        *,
        both: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The face (N, 3, S, S) RGB, nominally in [0, 1], equal to `images` outside the hole.

        Args:
            images: (N, 3, S, S) RGB in [0, 1]; what lies in the hole is ignored.
            hole: (N, 1, S, S), 1 where pixels are to be filled, else 0.
            landmarks: (N, 68, 2) pixels.
            gender: (N,) from -1 (female) to 1 (male); NaN where unknown.
            latent: (N, latent) standard normal; zeros give the most plausible answer.
            both: give the answer of the U-Net alone too, before the whole network's; the same
                where it has no detail stage.
        """
        known = gender.isfinite()
        labels = torch.stack([torch.where(known, gender, 0.0), known.to(gender.dtype)], dim=1)
        condition = self.condition(torch.cat([labels, latent], dim=1))
        seen = torch.cat([(images - 0.5) * (1 - hole), hole], dim=1)
        maps = landmark_maps(landmarks, images.shape[-1], self.block)
        blocks = functional.pixel_unshuffle(seen, self.block)
        features = self.stem(torch.cat([blocks, maps], dim=1))
        passed = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            features = block(features, condition)
            passed.append(features)
            features = shrink(features)
        for block in self.middle:
            features = block(features, condition)
        for block, grow, skip in zip(
            reversed(self.up), reversed(self.grow), reversed(passed), strict=True
        ):
            features = functional.interpolate(grow(features), scale_factor=2.0)
            features = block(torch.cat([features, skip], dim=1), condition)
        filled = self.output(features).float()
        coarse = torch.where(hole > 0.5, filled + 0.5, images)
        if self.detail is None:
            return (coarse, coarse) if both else coarse
        filled = filled + self.detail(coarse - 0.5, seen, features, condition).float()
        fine = torch.where(hole > 0.5, filled + 0.5, images)
        return (coarse, fine) if both else fine


class PosteriorEncoder(nn.Module):
    """While training, tells the generator by z what the true face has in the hole.

    It begins with little noise: from a z that is mostly noise the generator learns to ignore it.
    """

    def __init__(self, latent: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(4),
            nn.Conv2d(4 * 16, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * width, 2 * latent),
        )
        nn.init.constant_(self.layers[-1].bias[latent:], _FIRST_LOG_VARIANCE)

    def forward(self, images: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, each (N, latent), from the true face and its hole."""
        hidden = torch.cat([(images - 0.5) * hole, hole], dim=1)
        mean, log_variance = self.layers(hidden).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)


class Discriminator(nn.Module):
    """Spectral-norm patch discriminator (Isola et al. 2017; Miyato et al. 2018) on blocks of
    2 x 2 pixels, told the hole."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128, 192, 192)) -> None:
        super().__init__()
        inputs = (4 * 4, *widths[:-1])
        self.layers = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(a, b, 4, stride=2 if i < 3 else 1, padding=1)),
                nn.LeakyReLU(0.2),
            )
            for i, (a, b) in enumerate(zip(inputs, widths, strict=True))
        )
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor, hole: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Patch logits (N, 1, h, w) and the features of every layer."""
        features = [functional.pixel_unshuffle(torch.cat([images - 0.5, hole], dim=1), 2)]
        for layer in self.layers:
            features.append(layer(features[-1]))
        return self.score(features[-1]), features[1:]


def build(params: Inpainting, *, pretrained: bool) -> Generator:
    """The generator of `train.inpainting`; it has no pretrained part."""
    del pretrained
    return Generator(params)
