"""Mask R-CNN (He et al. 2017) that finds the face mask in a face crop."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from unmask.config.params import Segmentation
from unmask.models.backbone import Backbone

_LEVELS = (0, 1, 2, 3)  # strides 2, 4, 8, 16
_ANCHORS = (0.12, 0.25, 0.45, 0.7)  # of the crop's side, a size a level
FACE_MASK = 1  # torchvision's label; 0 is the background


class _Pyramid(nn.Module):
    def __init__(self, params: Segmentation, *, pretrained: bool) -> None:
        super().__init__()
        self.backbone = Backbone(params.backbone, _LEVELS, pretrained=pretrained)
        self.out_channels = params.fpn_channels
        self.fpn = FeaturePyramidNetwork(self.backbone.channels, params.fpn_channels)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        levels = self.backbone(images)
        features = self.fpn(OrderedDict((str(i), level) for i, level in enumerate(levels)))
        return OrderedDict((name, feature.float()) for name, feature in features.items())


class _Pasting(GeneralizedRCNNTransform):
    """torchvision's transform of crops of one size, its masks pasted exactly.

    torchvision trains masks by RoIAlign with `aligned=False`, for which pixel i lies at i, and
    pastes them on boxes rounded outwards whose pixels lie at i + 0.5; at 128 pixels that half pixel
    costs 0.04 of IoU. Here masks are sampled where they were trained.
    """

    def __init__(self, size: int) -> None:
        # the backbone normalises
        super().__init__(size, size, image_mean=[0.0] * 3, image_std=[1.0] * 3)

    def postprocess(self, result, image_shapes, original_image_sizes):
        if not self.training:
            for found, shape in zip(result, image_shapes, strict=True):
                found["masks"] = pasted(found["masks"], found["boxes"], shape)
        return result


class SegmentationNet(nn.Module):
    """torchvision's MaskRCNN over a narrow FPN; the crop shows one face, so one mask counts.

    The mask head reads the finest level, at stride 2, so that ear loops survive.
    """

    def __init__(self, params: Segmentation, *, pretrained: bool) -> None:
        super().__init__()
        size = params.image_size
        width = params.fpn_channels
        resolution = params.mask_resolution // 2
        self.network = MaskRCNN(
            _Pyramid(params, pretrained=pretrained),
            rpn_anchor_generator=AnchorGenerator(
                tuple((round(size * a),) for a in _ANCHORS), ((0.7, 1.2),) * len(_ANCHORS)
            ),
            rpn_pre_nms_top_n_train=200,
            rpn_pre_nms_top_n_test=100,
            rpn_post_nms_top_n_train=64,
            rpn_post_nms_top_n_test=16,
            rpn_batch_size_per_image=64,
            box_batch_size_per_image=8,
            box_positive_fraction=0.5,
            box_detections_per_img=2,
            box_score_thresh=0.3,
            box_roi_pool=MultiScaleRoIAlign(["2", "3"], 7, 2),
            box_head=_BoxHead(width * 49, 128),
            box_predictor=_BoxPredictor(128, 2),
            mask_roi_pool=MultiScaleRoIAlign(["0"], resolution, 2),
            mask_head=MaskRCNNHeads(width, (width, width, width), 1),
            mask_predictor=MaskRCNNPredictor(width, width, 2),
        )
        self.network.transform = _Pasting(size)

    def forward(self, images: Tensor, targets: list[dict[str, Tensor]] | None = None):
        """Losses by name while training, else soft masks and scores.

        Args:
            images: (N, 3, S, S) RGB in [0, 1].
            targets: while training, torchvision's boxes, labels and masks of every image.

        Returns:
            A dict of scalar losses, or (probability (N, S, S) in [0, 1], score (N,) in [0, 1]);
            zeros where no mask is found.
        """
        if self.training:
            return self.network(list(images), targets)
        detections = self.network(list(images))
        probability = images.new_zeros(len(images), *images.shape[-2:])
        score = images.new_zeros(len(images))
        for index, found in enumerate(detections):
            if len(found["scores"]):
                probability[index] = found["masks"][0, 0]
                score[index] = found["scores"][0]
        return probability, score


class _BoxHead(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU())

    def forward(self, regions: Tensor) -> Tensor:
        return self.layers(regions)


class _BoxPredictor(nn.Module):
    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(inputs, classes)
        self.boxes = nn.Linear(inputs, classes * 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores(features), self.boxes(features)


def pasted(masks: Tensor, boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Soft masks (N, 1, M, M) on their boxes (N, 4), as pictures (N, 1, H, W); zero outside."""
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.unbind(1))
    rows, columns = (torch.arange(side, device=boxes.device)[None] for side in shape)
    across = (2 * (columns - x0) / (x1 - x0) - 1)[:, None, :].expand(-1, shape[0], -1)
    down = (2 * (rows - y0) / (y1 - y0) - 1)[:, :, None].expand(-1, -1, shape[1])
    places = torch.stack([across, down], 3)
    return functional.grid_sample(masks.to(places.dtype), places, align_corners=False)


def detection_target(mask: Tensor) -> dict[str, Tensor]:
    """torchvision's target of one image from its mask (S, S) bool; an empty mask is no instance.

    The box lies half a pixel around the mask, whose pixel i lies at i.
    """
    rows, columns = torch.where(mask)
    count = int(len(rows) > 0)
    box = mask.new_zeros(0, 4).float()
    if count:
        ends = [columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5]
        box = torch.stack(ends)[None]
    return {
        "boxes": box,
        "labels": torch.full((count,), FACE_MASK, dtype=torch.int64, device=mask.device),
        "masks": mask[None][:count].to(torch.uint8),
    }


def build(params: Segmentation, *, pretrained: bool) -> SegmentationNet:
    """The segmentation network of `train.segmentation`."""
    return SegmentationNet(params, pretrained=pretrained)
