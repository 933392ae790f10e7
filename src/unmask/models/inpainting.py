"""The landmark-guided inpainting GAN: generator, posterior encoder and patch discriminator.

After LaFIn (Yang et al. 2019) and the paper's Section III-D, as a residual U-Net whose stem and
output work on blocks of pixels (Shi et al. 2016), which makes it fast on a CPU. At 256 pixels it
is coarse to fine: the U-Net on blocks of 4 x 4 generates structure and colour, a light stage on
blocks of 2 x 2 adds fine detail. A latent z, learned as in a conditional VAE (Sohn et al. 2015;
Zheng et al. 2019), selects one of several plausible faces.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from unmask.config.params import Inpainting
from unmask.geometry.landmarks import BROWS, EYES, JAW, MOUTH, NOSE
from unmask.models.network import Network, Tracing

_PARTS = (JAW, BROWS, NOSE, EYES, MOUTH)
_CONDITION = 128  # length of the vector that modulates the generator's blocks
_FIRST_LOG_VARIANCE = -2.5  # 0.79 nats per component of z, below the profiles' `free_nats`


def landmark_maps(landmarks: Tensor, size: int, block: int = 2) -> Tensor:
    """Gaussian maps of jaw, brows, nose, eyes and mouth, one pixel per block of the picture.

    Args:
        landmarks: (N, 68, 2) pixels of the picture.
        size: side of the picture in pixels.
        block: side of a block in pixels, a divisor of `size`.

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
    """A residual block of two convolutions, modulated by a condition (FiLM, Perez et al. 2018).

    Args:
        inputs: number of channels of the input.
        outputs: number of channels of the output, a multiple of 8.
    """

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
    """Predicts what is added to the coarse output to make it sharp.

    It is initialised to zero, so that training starts from the coarse output.

    Args:
        inputs: number of channels of the U-Net's last features.
        block: side in pixels of the U-Net's blocks.
        width: number of channels on blocks of 2 x 2 pixels, a multiple of 8.
    """

    def __init__(self, inputs: int, block: int, width: int) -> None:
        super().__init__()
        finer = block // 2
        self.look = nn.Conv2d(4 * (3 + 4), width, 3, padding=1)
        self.lift = nn.Sequential(nn.Conv2d(inputs, width * finer**2, 1), nn.PixelShuffle(finer))
        self.blocks = nn.ModuleList([_Block(2 * width, width), _Block(width, width)])
        last = nn.Conv2d(width, 4 * 3, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.output = nn.Sequential(nn.SiLU(), last, nn.PixelShuffle(2))

    def forward(self, coarse: Tensor, seen: Tensor, features: Tensor, condition: Tensor) -> Tensor:
        """Residual (N, 3, S, S) of RGB in [0, 1].

        Args:
            coarse: (N, 3, S, S) RGB less 0.5, the coarse output.
            seen: (N, 4, S, S), what the U-Net sees: RGB less 0.5, 0 in the hole, and the hole.
            features: (N, inputs, S / block, S / block), the U-Net's last.
            condition: (N, 128).
        """
        pixels = self.look(functional.pixel_unshuffle(torch.cat([coarse, seen], dim=1), 2))
        hidden = torch.cat([pixels, self.lift(features)], dim=1)
        for block in self.blocks:
            hidden = block(hidden, condition)
        return self.output(hidden)


class Generator(Network):
    """Fills the hole of a face.

    Args:
        params: the section `train.inpainting`.
    """

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
            latent: (N, latent) standard normal; zeros give the most plausible face.
            both: return (coarse, fine), the U-Net's output and the whole network's; both are the
                same tensor where there is no detail stage.
        """
        known = gender.isfinite()
        labels = torch.stack([torch.where(known, gender, 0.0), known.to(gender.dtype)], dim=1)
        condition = self.condition(torch.cat([labels, latent], dim=1))
        seen = torch.cat([(images - 0.5) * (1 - hole), hole], dim=1)
        maps = landmark_maps(landmarks, images.shape[-1], self.block)
        blocks = functional.pixel_unshuffle(seen, self.block)
        features = self.stem(torch.cat([blocks, maps], dim=1))
        skips = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            features = block(features, condition)
            skips.append(features)
            features = shrink(features)
        for block in self.middle:
            features = block(features, condition)
        for block, grow, skip in zip(
            reversed(self.up), reversed(self.grow), reversed(skips), strict=True
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

    def tracing(self, size: int) -> Tracing:
        """Of `filled` (N, 3, S, S), for the inputs of `forward` but `both`."""
        inputs = {
            "images": torch.rand(1, 3, size, size),
            "hole": torch.ones(1, 1, size, size),
            "landmarks": torch.rand(1, 68, 2) * size,
            "gender": torch.zeros(1),
            "latent": torch.zeros(1, self.latent),
        }
        return Tracing(_Fine(self), inputs, ("filled",))


class _Fine(nn.Module):
    """The whole network's output, of inputs that are all given by position."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, images: Tensor, hole: Tensor, landmarks: Tensor, gender: Tensor, latent: Tensor
    ) -> Tensor:
        return self.network(images, hole, landmarks, gender, latent)


class PosteriorEncoder(nn.Module):
    """The posterior of the latent z given the true face in the hole; used in training only.

    It starts with a low variance: a generator that sees a z of mostly noise learns to ignore it.

    Args:
        latent: number of components of z.
        width: number of channels of the first convolution.
    """

    def __init__(self, latent: int, width: int = 32) -> None:
        super().__init__()
        layers = [
            nn.PixelUnshuffle(4),
            nn.Conv2d(4 * 16, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        ]
        head = nn.Linear(16 * width, 2 * latent)
        nn.init.constant_(head.bias[latent:], _FIRST_LOG_VARIANCE)
        self.layers = nn.Sequential(*layers, head)

    def forward(self, images: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of z, each (N, latent).

        Args:
            images: (N, 3, S, S) RGB in [0, 1], the true faces.
            hole: (N, 1, S, S), 1 in the hole, else 0.
        """
        hidden = torch.cat([(images - 0.5) * hole, hole], dim=1)
        mean, log_variance = self.layers(hidden).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)


class Discriminator(nn.Module):
    """Patch discriminator with spectral norm (Isola et al. 2017; Miyato et al. 2018).

    It works on blocks of 2 x 2 pixels and sees which pixels are in the hole.

    Args:
        widths: number of channels of each layer; the first three have stride 2.
    """

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
        """Patch logits (N, 1, h, w), and the feature maps (N, C_i, H_i, W_i) of every layer.

        Args:
            images: (N, 3, S, S) RGB in [0, 1].
            hole: (N, 1, S, S), 1 in the hole, else 0.
        """
        features = [functional.pixel_unshuffle(torch.cat([images - 0.5, hole], dim=1), 2)]
        for layer in self.layers:
            features.append(layer(features[-1]))
        return self.score(features[-1]), features[1:]


def build(params: Inpainting, *, pretrained: bool) -> Generator:
    """Build the generator of `train.inpainting`."""
    del pretrained  # it has no backbone
    return Generator(params)
