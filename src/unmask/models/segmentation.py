"""Mask R-CNN (He et al. 2017) that finds the face mask in a face crop."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

from unmask.models.backbone import Backbone
from unmask.params import Segmentation

_LEVELS = (0, 1, 2, 3)  # strides 2, 4, 8, 16
_ANCHORS = (0.12, 0.25, 0.45, 0.7)  # of the crop's side, a size a level
_FACE_MASK = 1


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


class SegmentationNet(nn.Module):
    """torchvision's MaskRCNN over a narrow FPN; the crop shows one face, so one mask counts.

    The mask head reads the finest level, at stride 2, so that ear loops survive.
    """

    def __init__(self, params: Segmentation, size: int, *, pretrained: bool) -> None:
        super().__init__()
        width = params.fpn_channels
        resolution = params.mask_resolution // 2
        self.network = MaskRCNN(
            _Pyramid(params, pretrained=pretrained),
            min_size=size,
            max_size=size,
            image_mean=[0.0, 0.0, 0.0],  # the backbone normalises
            image_std=[1.0, 1.0, 1.0],
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


def detection_target(mask: Tensor) -> dict[str, Tensor]:
    """torchvision's target of one image from its mask (S, S) bool; an empty mask is no instance."""
    rows, columns = torch.where(mask)
    count = int(len(rows) > 0)
    box = mask.new_zeros(0, 4).float()
    if count:
        ends = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        box = torch.stack(ends)[None].float()
    return {
        "boxes": box,
        "labels": torch.full((count,), _FACE_MASK, dtype=torch.int64, device=mask.device),
        "masks": mask[None][:count].to(torch.uint8),
    }


def build(params: Segmentation, size: int, *, pretrained: bool) -> SegmentationNet:
    """The segmentation network of `train.segmentation`."""
    return SegmentationNet(params, size, pretrained=pretrained)
