"""Mask R-CNN (He et al. 2017) that finds the face mask in a face crop."""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RegionProposalNetwork
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, roi_align

from unmask.config.params import Segmentation
from unmask.models.backbone import Backbone
from unmask.models.network import Network, Tracing

_LEVELS = (0, 1, 2, 3)  # strides 2, 4, 8, 16
_ANCHORS = (0.25, 0.45, 0.7)  # anchor side per level but the finest, as a share of the crop's side
FACE_MASK = 1  # torchvision's label; 0 is the background
_SCORE = 0.3  # confidence, least
_SMALLEST_SIDE = 0.01  # pixels of a box; torchvision drops smaller ones


class _Pyramid(nn.Module):
    """The backbone with torchvision's feature pyramid, as MaskRCNN expects it."""

    def __init__(self, params: Segmentation, *, pretrained: bool) -> None:
        super().__init__()
        self.backbone = Backbone(params.backbone, _LEVELS, pretrained=pretrained)
        self.out_channels = params.fpn_channels
        self.fpn = FeaturePyramidNetwork(self.backbone.channels, params.fpn_channels)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        levels = self.backbone(images)
        features = self.fpn(OrderedDict((str(i), level) for i, level in enumerate(levels)))
        return OrderedDict((name, feature.float()) for name, feature in features.items())


class _Transform(GeneralizedRCNNTransform):
    """The transform of torchvision's MaskRCNN for crops of one size, which pastes masks exactly.

    Torchvision trains masks by RoIAlign with `aligned=False`, for which the centre of pixel i is at
    i, and pastes them into boxes rounded outwards whose pixel centres are at i + 0.5; at 128 pixels
    that half pixel costs 0.04 of IoU. Here masks are pasted with the convention they are trained
    with.
    """

    def __init__(self, size: int) -> None:
        # mean 0 and deviation 1: the backbone normalises
        super().__init__(size, size, image_mean=[0.0] * 3, image_std=[1.0] * 3)

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Replace soft masks (K, 1, M, M) in boxes by masks (K, 1, H, W) of the whole picture.

        Args:
            result: per picture, torchvision's boxes, labels, scores and masks.
            image_shapes: per picture, (H, W) in pixels.
            original_image_sizes: the same sizes, since crops are never resized.
        """
        del original_image_sizes
        if not self.training:
            for detection, shape in zip(result, image_shapes, strict=True):
                detection["masks"] = pasted(detection["masks"], detection["boxes"], shape)
        return result


class _Proposals(RegionProposalNetwork):
    """Torchvision's, of all levels but the finest.

    A face mask is larger than what is proposed there, at two fifths of the network's cost.
    """

    def forward(
        self,
        images: ImageList,
        features: dict[str, Tensor],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Boxes (K, 4) of each picture, and in training mode the losses by name."""
        finest, *_ = features
        coarser = {name: level for name, level in features.items() if name != finest}
        return super().forward(images, coarser, targets)


class SegmentationNet(Network):
    """Torchvision's MaskRCNN over a narrow FPN; of a crop, which shows one face, the best mask.

    The mask head reads the finest level, at stride 2, in which ear loops can be seen.

    Args:
        params: the section `train.segmentation`.
        pretrained: start the backbone from ImageNet weights.
    """

    def __init__(self, params: Segmentation, *, pretrained: bool) -> None:
        super().__init__()
        size = params.image_size
        width = params.fpn_channels
        resolution = params.mask_resolution // 2
        anchors = AnchorGenerator(
            tuple((round(size * a),) for a in _ANCHORS), ((0.7, 1.2),) * len(_ANCHORS)
        )
        self.network = MaskRCNN(
            _Pyramid(params, pretrained=pretrained),
            rpn_anchor_generator=anchors,
            box_batch_size_per_image=8,
            box_positive_fraction=0.5,
            box_detections_per_img=2,
            box_score_thresh=_SCORE,
            box_roi_pool=MultiScaleRoIAlign(["2", "3"], 7, 2),
            box_head=_BoxHead(width * 49, 128),
            box_predictor=_BoxPredictor(128, 2),
            mask_roi_pool=MultiScaleRoIAlign(["0"], resolution, 2),
            mask_head=MaskRCNNHeads(width, (width, width, width), 1),
            mask_predictor=MaskRCNNPredictor(width, width, 2),
        )
        self.network.rpn = _Proposals(
            anchors,
            self.network.rpn.head,
            fg_iou_thresh=0.7,
            bg_iou_thresh=0.3,
            batch_size_per_image=64,
            positive_fraction=0.5,
            pre_nms_top_n={"training": 200, "testing": 100},
            post_nms_top_n={"training": 64, "testing": 16},
            nms_thresh=0.7,
        )
        self.network.transform = _Transform(size)

    def forward(
        self, images: Tensor, targets: list[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | tuple[Tensor, Tensor]:
        """Losses by name in training mode, else soft masks and scores.

        Args:
            images: (N, 3, S, S) RGB in [0, 1].
            targets: in training mode, `detection_target` of every picture.

        Returns:
            A dict of scalar losses, or (probability (N, S, S) in [0, 1], score (N,) in [0, 1]);
            zeros where no mask is found.
        """
        if self.training:
            return self.network(list(images), targets)
        detections = self.network(list(images))
        probability = images.new_zeros(len(images), *images.shape[-2:])
        score = images.new_zeros(len(images))
        for index, detection in enumerate(detections):
            if len(detection["scores"]):
                probability[index] = detection["masks"][0, 0]
                score[index] = detection["scores"][0]
        return probability, score

    def tracing(self, size: int) -> Tracing:
        """Of `probability` (1, S, S) and `score` (1,) of a single crop.

        It changes the network, which from then on always has one detection.
        """
        images = torch.rand(1, 3, size, size)
        outputs = ("probability", "score")
        return Tracing(_OneDetection(self.network), {"images": images}, outputs, batches=False)


class _OneDetection(nn.Module):
    """Mask R-CNN of one picture that always has one detection, which is dropped afterwards.

    Without any, the traced graph fails when it runs.
    """

    def __init__(self, network: MaskRCNN) -> None:
        super().__init__()
        self.network = network
        heads, blocks = network.roi_heads, network.backbone.fpn.layer_blocks
        heads.score_thresh, heads.detections_per_img = -1.0, 1
        heads.mask_roi_pool = _PooledWithin(blocks[0], heads.mask_roi_pool.output_size)
        blocks[0] = nn.Identity()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network([images[0]])[0]
        score, box = found["scores"][:1], found["boxes"][:1]
        sides = (box[:, 2:] - box[:, :2]).amin(dim=1)
        holds = ((score > _SCORE) & (sides >= _SMALLEST_SIDE)).float()
        return found["masks"][:1, 0] * holds[:, None, None], score * holds


class _PooledWithin(nn.Module):
    """The mask head's pooling, which computes the finest level within the one box alone.

    Elsewhere nothing reads it, and it is a quarter of the network's cost.

    Args:
        smooth: the finest level's last convolution.
        size: (rows, columns) of a pooled region.
    """

    def __init__(self, smooth: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.smooth, self.size = smooth, size

    def forward(
        self, features: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> Tensor:
        """The region (K, C, rows, columns) of K = 0 or 1 box (K, 4) in pixels of one picture."""
        finest = features["0"]
        box = boxes[0] * (finest.shape[-1] / image_shapes[0][1])
        within = torch.cat([box, box.new_tensor([[0, 0, *finest.shape[:-3:-1]]])])[0]
        x0, y0 = (within[:2].floor().long() - 2).clamp(min=0).unbind()
        x1, y1 = (within[2:].ceil().long() + 3).unbind()  # beyond the last is the last
        part = self.smooth(finest[:, :, y0:y1, x0:x1])
        corner = torch.stack([x0, y0, x0, y0])
        return roi_align(part, [box - corner], self.size, sampling_ratio=2)


class _BoxHead(nn.Module):
    """Features (K, width) of K pooled regions, of `inputs` numbers each."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.ReLU())

    def forward(self, regions: Tensor) -> Tensor:
        return self.layers(regions)


class _BoxPredictor(nn.Module):
    """Class logits (K, classes) and box offsets (K, 4 classes) from features (K, inputs)."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.scores = nn.Linear(inputs, classes)
        self.boxes = nn.Linear(inputs, classes * 4)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.scores(features), self.boxes(features)


def pasted(masks: Tensor, boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Paste soft masks into pictures at their boxes.

    Args:
        masks: (K, 1, M, M) in [0, 1], each over its box.
        boxes: (K, 4) x0, y0, x1, y1 in pixels; the centre of pixel i is at i.
        shape: (H, W) of the picture in pixels.

    Returns:
        (K, 1, H, W) in [0, 1], bilinear; 0 outside the box.
    """
    x0, y0, x1, y1 = (edge[:, None] for edge in boxes.unbind(1))
    rows, columns = (torch.arange(side, device=boxes.device)[None] for side in shape)
    x = (2 * (columns - x0) / (x1 - x0) - 1)[:, None, :].expand(-1, shape[0], -1)
    y = (2 * (rows - y0) / (y1 - y0) - 1)[:, :, None].expand(-1, -1, shape[1])
    positions = torch.stack([x, y], 3)
    return functional.grid_sample(masks.to(positions.dtype), positions, align_corners=False)


def detection_target(mask: Tensor) -> dict[str, Tensor]:
    """Make torchvision's training target of one picture.

    Args:
        mask: (S, S) bool.

    Returns:
        `boxes` (K, 4) float, `labels` (K,) int64 and `masks` (K, S, S) uint8; K is 1, or 0 where
        the mask is empty. The box encloses the mask's pixels, whose centres are at integers.
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
    """Build the segmentation network; the arguments are SegmentationNet's."""
    return SegmentationNet(params, pretrained=pretrained)
