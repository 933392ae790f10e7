import torch
from torch import nn
from torchvision.ops import roi_align

from unmask.models import build
from unmask.models.segmentation import detection_target, pasted

SIZE = 64


def network(smoke) -> nn.Module:
    torch.manual_seed(0)
    return build("segmentation", smoke.train.segmentation)


def faces() -> torch.Tensor:
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def square_masks() -> torch.Tensor:
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    masks[:, 30:58, 12:50] = True
    return masks


def sure_of(label: int, net: nn.Module) -> nn.Module:
    predictor = net.network.roi_heads.box_predictor
    nn.init.zeros_(predictor.scores.weight)
    predictor.scores.bias.data = torch.tensor([9.0, -9.0] if label == 0 else [-9.0, 9.0])
    return net.eval()


def test_where_no_mask_is_found_segmentation_says_zero(smoke):
    net = sure_of(0, network(smoke))
    with torch.inference_mode():
        probability, score = net(faces())
    assert probability.shape == (2, SIZE, SIZE)
    assert score.shape == (2,)
    assert (probability == 0).all()
    assert (score == 0).all()


def test_where_a_mask_is_found_segmentation_gives_the_surest(smoke):
    net = sure_of(1, network(smoke))
    with torch.inference_mode():
        probability, score = net(faces())
    assert (score > 0.99).all()
    assert (probability.amax(dim=(1, 2)) > 0).all()
    assert probability.min() >= 0
    assert probability.max() <= 1


def test_segmentation_losses_are_torchvisions_five(smoke):
    net = network(smoke).train()
    losses = net(faces(), [detection_target(mask) for mask in square_masks()])
    assert set(losses) == {
        "loss_classifier",
        "loss_box_reg",
        "loss_mask",
        "loss_objectness",
        "loss_rpn_box_reg",
    }
    assert all(loss.isfinite() and loss.ndim == 0 for loss in losses.values())


def test_a_detection_target_holds_the_mask_tightly():
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[10:20, 30:33] = True
    mask[15, 40] = True
    target = detection_target(mask)
    assert target["boxes"].tolist() == [[29.5, 9.5, 40.5, 19.5]]
    assert target["labels"].tolist() == [1]
    assert torch.equal(target["masks"][0].bool(), mask)
    none = detection_target(torch.zeros(SIZE, SIZE, dtype=torch.bool))
    assert [len(none[name]) for name in ("boxes", "labels", "masks")] == [0, 0, 0]


def test_a_bare_face_among_masked_ones_gives_finite_losses(smoke):
    net = network(smoke).train()
    masks = square_masks()
    masks[0] = False
    losses = net(faces(), [detection_target(mask) for mask in masks])
    assert all(loss.isfinite() for loss in losses.values())


def test_a_mask_cut_as_for_training_is_pasted_where_it_was():
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    disc = (rows - 37.3) ** 2 + (columns - 21.6) ** 2 < 15**2
    target = detection_target(disc)
    cut = roi_align(disc[None, None].float(), [target["boxes"]], 56)
    back = pasted(cut, target["boxes"], (SIZE, SIZE))[0, 0] > 0.5
    assert (back & disc).sum() / (back | disc).sum() > 0.99
