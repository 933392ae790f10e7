import numpy as np
import pytest
import torch
from torch import nn

from unmask.config.params import NETWORKS, Inpainting
from unmask.models import build
from unmask.models.inpainting import Discriminator, Generator, PosteriorEncoder, landmark_maps
from unmask.models.segmentation import detection_target

SIZE = 64


def network(name: str, smoke) -> nn.Module:
    torch.manual_seed(0)
    return build(name, getattr(smoke.train, name))


def faces(count: int = 2, seed: int = 0, size: int = SIZE) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def square_masks(count: int = 2) -> torch.Tensor:
    masks = torch.zeros(count, SIZE, SIZE, dtype=torch.bool)
    masks[:, 30:58, 12:50] = True
    return masks


def inpainting_inputs(params: Inpainting, size: int = SIZE) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    hole = torch.zeros(2, 1, size, size)
    hole[:, :, size // 2 : size - 4, 8 : size - 8] = 1
    landmarks = size * torch.rand(2, 68, 2, generator=generator)
    gender = torch.tensor([1.0, float("nan")])
    return (
        faces(2, 2, size),
        hole,
        landmarks,
        gender,
        torch.randn(2, params.latent, generator=generator),
    )


def answer(name: str, net: nn.Module, smoke) -> torch.Tensor:
    """A scalar that depends on all that the network answers while training."""
    generator = torch.Generator().manual_seed(5)
    if name == "segmentation":
        targets = [detection_target(mask) for mask in square_masks()]
        return sum(net(faces(), targets).values())
    inputs = inpainting_inputs(smoke.train.inpainting) if name == "inpainting" else (faces(),)
    given = net(*inputs)
    return (given * torch.randn(given.shape, generator=generator)).sum()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_finite_gradient_and_learns(name, smoke):
    net = network(name, smoke).train()
    before = {key: value.detach().clone() for key, value in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(2):  # a layer behind one that starts at zero moves from the second step on
        optimizer.zero_grad()
        answer(name, net, smoke).backward()
        for key, value in net.named_parameters():
            assert value.grad is not None, key
            assert value.grad.isfinite().all(), key
        optimizer.step()
    still = [key for key, value in net.named_parameters() if torch.equal(value, before[key])]
    assert still == []


@pytest.mark.parametrize(("name", "shape"), [("gender", (2,)), ("landmarks", (2, 68, 2))])
@pytest.mark.parametrize("size", [64, 128])
def test_shapes_of_answers(name, shape, size, smoke):
    net = build(name, getattr(smoke.train, name)).eval()
    with torch.inference_mode():
        given = net(faces(size=size))
    assert given.shape == shape
    assert given.dtype == torch.float32
    assert given.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_an_answer_does_not_depend_on_the_company(name, smoke):
    net = network(name, smoke).eval()

    def run(part: slice) -> torch.Tensor:
        if name == "inpainting":
            return net(*(value[part] for value in inpainting_inputs(smoke.train.inpainting)))
        given = net(faces()[part])
        return given[0] if name == "segmentation" else given

    with torch.inference_mode():
        torch.testing.assert_close(run(slice(0, 1)), run(slice(0, 2))[:1], atol=2e-4, rtol=1e-3)


def test_an_unknown_name_is_refused(smoke):
    with pytest.raises(ValueError, match="unknown network 'nosuch', use gender"):
        build("nosuch", smoke.train.gender)


def test_untrained_landmarks_lie_about_the_middle_and_move_with_the_picture(smoke):
    net = network("landmarks", smoke).eval()
    with torch.inference_mode():
        points = net(faces())
    assert points.min() > 0.1 * SIZE
    assert points.max() < 0.9 * SIZE


def test_landmarks_follow_their_heat_maps(smoke):
    net = network("landmarks", smoke).eval()

    class Peaks(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            maps = torch.zeros(len(features), 68, *features.shape[-2:])
            maps[:, :, 3, 5] = 100.0
            return maps

    net.heatmaps = Peaks()
    with torch.inference_mode():
        points = net(faces(1))
    # cell (column 5, row 3) of 16 spans pixels 20 to 23 and 12 to 15, counted from centres
    torch.testing.assert_close(points[0], torch.tensor([21.5, 13.5]).expand(68, 2))


@pytest.mark.parametrize("size", [64, 128])
def test_landmark_maps_peak_at_the_landmark(size):
    landmarks = torch.full((1, 68, 2), -1000.0)
    spots = {0: 3, 1: 20, 2: 30, 3: 40, 4: 60}  # a landmark of each part
    for part, index in spots.items():
        landmarks[0, index] = torch.tensor([10.5 + 8 * part, 34.5 - 4 * part])
    maps = landmark_maps(landmarks, size)
    assert maps.shape == (1, 5, size // 2, size // 2)
    for part, index in spots.items():
        row, column = np.unravel_index(int(maps[0, part].argmax()), (size // 2, size // 2))
        # pixel x of the picture is (x + 0.5) / 2 - 0.5 of its half
        assert [column, row] == ((landmarks[0, index] + 0.5) / 2 - 0.5).tolist()
        assert maps[0, part].max() == 1
    assert maps.min() >= 0
    assert (landmark_maps(torch.full((1, 68, 2), -1000.0), size) == 0).all()


def test_the_generator_keeps_what_is_outside_the_hole(smoke):
    net = network("inpainting", smoke).eval()
    inputs = inpainting_inputs(smoke.train.inpainting)
    images, hole = inputs[:2]
    with torch.inference_mode():
        filled = net(*inputs)
    assert filled.shape == images.shape
    outside = (hole == 0).expand_as(images)
    assert torch.equal(filled[outside], images[outside])
    assert (filled[~outside] != images[~outside]).float().mean() > 0.99
    assert filled.isfinite().all()


def test_the_generator_does_not_see_into_the_hole(smoke):
    net = network("inpainting", smoke).eval()
    images, hole, *others = inpainting_inputs(smoke.train.inpainting)
    with torch.inference_mode():
        one = net(images, hole, *others)
        two = net(torch.where(hole > 0, faces(2, 77), images), hole, *others)
    assert torch.equal(one, two)


def test_the_generator_listens_to_landmarks_gender_and_latent(smoke):
    torch.manual_seed(0)
    net = network("inpainting", smoke).eval()
    for module in net.modules():  # conditioning starts at zero
        if hasattr(module, "film"):
            nn.init.normal_(module.film.weight, std=0.1)
    images, hole, landmarks, gender, latent = inpainting_inputs(smoke.train.inpainting)
    with torch.inference_mode():
        plain = net(images, hole, landmarks, gender, latent)
        for other in (
            net(images, hole, landmarks + 9, gender, latent),
            net(images, hole, landmarks, -gender, latent),
            net(images, hole, landmarks, gender, latent + 1),
        ):
            assert (other[0] - plain[0]).abs().max() > 1e-3
        unknown = net(images, hole, landmarks, torch.full((2,), float("nan")), latent)
        neutral = net(images, hole, landmarks, torch.zeros(2), latent)
    assert unknown.isfinite().all()
    assert (unknown - neutral).abs().max() > 1e-4  # unknown is not between the two


def test_posterior_and_discriminator(smoke):
    torch.manual_seed(0)
    images, hole = inpainting_inputs(smoke.train.inpainting)[:2]
    posterior, critic = PosteriorEncoder(16), Discriminator()
    mean, log_variance = posterior(images, hole)
    assert mean.shape == log_variance.shape == (2, 16)
    score, levels = critic(images, hole)
    assert score.shape[:2] == (2, 1)
    assert len(levels) == 5
    (mean.sum() + log_variance.sum() + score.sum()).backward()
    for part in (posterior, critic):
        for key, value in part.named_parameters():
            assert value.grad is not None, key
            assert value.grad.isfinite().all(), key
    outside = torch.where(hole > 0, images, faces(2, 88))
    assert torch.equal(posterior(outside, hole)[0], mean)  # it sees the hole alone


@pytest.mark.parametrize(("block", "detail"), [(2, 0), (2, 8), (4, 0), (4, 8)])
def test_the_detail_stage_starts_from_the_coarse_answer_and_learns_of_it(block, detail, smoke):
    made = smoke.train.inpainting.model_copy(update={"block": block, "detail": detail})
    torch.manual_seed(0)
    net = Generator(made)
    inputs = inpainting_inputs(made)
    coarse, fine = net(*inputs, both=True)
    assert fine.shape == coarse.shape == inputs[0].shape
    assert torch.equal(coarse, fine)
    assert (coarse is fine) == (detail == 0)
    if detail:
        nn.init.normal_(net.detail.output[1].weight, std=0.1)
        coarse, fine = net(*inputs, both=True)
        assert ((coarse != fine).any(dim=1, keepdim=True) <= (inputs[1] > 0)).all()
        assert (coarse - fine).abs().max() > 1e-3


@pytest.mark.parametrize("channels", [(20, 28), (16, 24, 32, 40, 48, 56, 64)])
def test_channels_that_no_generator_can_have_are_refused_by_params(channels, smoke):
    """Either pydantic refuses them, or the generator they make works at the smallest size."""
    tree = smoke.train.inpainting.model_dump() | {"channels": channels}
    try:
        params = Inpainting.model_validate(tree)
    except ValueError as error:
        assert "channels" in str(error)  # noqa: PT017 - both outcomes are right
        return
    net = Generator(params).eval()
    with torch.inference_mode():
        assert net(*inpainting_inputs(params)).shape == (2, 3, SIZE, SIZE)


def test_the_posterior_begins_with_little_noise():
    """From a z that is mostly noise, the generator learns to ignore it."""
    torch.manual_seed(0)
    _, log_variance = PosteriorEncoder(8)(faces(4), torch.ones(4, 1, SIZE, SIZE))
    assert log_variance.exp().sqrt().max() < 0.35
