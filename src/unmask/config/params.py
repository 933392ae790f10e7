"""The typed form of params.yaml: frozen, strict models that refuse unknown keys."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from unmask.config.augment import Augment
from unmask.config.cluster import ClusterName
from unmask.config.occluders import Occluders
from unmask.config.restore import Restore
from unmask.config.section import (
    Count,
    Fraction,
    NotNegative,
    Positive,
    Section,
    check_names,
    sentence_of,
)
from unmask.errors import UnmaskError
from unmask.project import in_project


class Floors(Section):
    """Absolute bounds of the gate: minima, ceilings of errors, and a range of sharpness.

    `hole_psnr_over_*` are in dB above that baseline.
    """

    mask_iou: Fraction
    nme: Positive
    gender_accuracy: Fraction
    hole_psnr_over_mean_face: float
    hole_psnr_over_telea: float
    bare_restored: Fraction  # ceiling: share of faces without a mask that are altered
    sharpness: Annotated[tuple[float, float], Field(strict=False)]  # ratio to the true face's

    @model_validator(mode="after")
    def _sharpness_in_order(self) -> "Floors":
        least, most = self.sharpness
        if not 0 <= least < most:
            raise ValueError("sharpness must be a band [LEAST, MOST] of numbers from 0 on")
        return self


class SliceTolerance(Section):
    """How much worse a slice may be than the champion, by primary metric."""

    perceptual: Positive  # fraction of the champion's distance
    hole_psnr: Positive  # dB


class Gate(Section):
    """What a challenger must reach to replace the champion.

    `primary` is the metric that it must improve: the perceptual distance, or the hole's PSNR in dB.
    `first_champion` is that of a registry that has had none: the weights of the package, or none,
    so that what is trained first is judged by the floors alone. `common_faces` is the number of
    synthetic faces that are scored beside the project's own, the same in every project.
    """

    primary: Literal["perceptual", "hole_psnr"]
    first_champion: Literal["release", "none"]
    common_faces: Annotated[int, Field(ge=0)]
    floors: Floors
    minimum_faces: Count
    minimum_slice: Count
    slice_tolerance: SliceTolerance
    hole_psnr_tolerance: Positive  # dB that the mean may be worse, where it is not primary
    mask_iou_tolerance: Positive  # how much worse than the champion's a mean may be
    nme_tolerance: Positive
    gender_accuracy_tolerance: Positive
    confidence: Annotated[float, Field(gt=0.5, lt=1)]  # of the bound that shows an improvement
    loss_confidence: Annotated[float, Field(gt=0.5, lt=1)]  # of the bound that shows a loss
    resamples: Count  # of the bootstrap
    latency_ratio: Positive  # maximum time per face, over the champion's


#: Numeric features that drift is tested on; the embedding's components are embedding_1, ...
NUMBERS = (
    "brightness",
    "sharpness",
    "size",
    "yaw",
    "mask_fraction",
    "colour_l",
    "colour_a",
    "colour_b",
    "gender_male",
    "score",
    "embedding",
)
#: Features that are yes or no for a face, so that a share of faces is tested.
SHARES = ("masked", "skipped")


class Inbox(Section):
    """Where photos to restore arrive.

    `url` is a folder relative to the project's root, or a URL such as s3://bucket/folder. A photo
    is processed once its file has not changed for `settle_seconds`; `crop` says that each photo
    shows one face. A worker that has not said for `lease_seconds` that it is alive loses its batch.
    Answers have the photo's own format, or another; `quality` is that of what is compressed with
    loss, 0 for the photo's own.
    """

    url: Annotated[str, Field(min_length=1)]
    batch_size: Count
    settle_seconds: Annotated[float, Field(ge=0)]
    crop: bool
    format: Literal["same", "png", "jpeg", "webp", "tiff", "avif"] = "same"
    quality: Annotated[int, Field(ge=0, le=100)] = 0
    strip_metadata: bool = False
    most_megapixels: Positive = 50.0
    lease_seconds: Annotated[float, Field(ge=1)] = 120.0


class Drift(Section):
    """Input drift: the reference sample of the training data, and when a difference counts.

    `changes` maps a feature that drifted to what a retraining changes: dotted params to values. A
    name also stands for all features that begin with it, as colour for colour_l.
    """

    bare: Annotated[float, Field(ge=0, le=0.5)]  # share of the reference without a mask
    components: Count  # of the embedding
    alpha: Annotated[float, Field(gt=0, lt=1)]  # false discovery rate of one check
    effect: Fraction  # smallest distance of two distributions that counts as drift
    minimum: Annotated[int, Field(ge=2)]  # faces; with fewer no test is made
    changes: dict[str, dict[str, JsonValue]]

    @model_validator(mode="after")
    def _known(self) -> "Drift":
        for name in self.changes:
            if not any(f"{feature}_".startswith(f"{name}_") for feature in (*NUMBERS, *SHARES)):
                raise ValueError(f"changes: unknown feature {name!r}")
        return self

    def changes_for(self, features: tuple[str, ...]) -> dict[str, JsonValue]:
        """Dotted params to values that a retraining sets after drift of these features.

        Where two features set the same param, the later one wins.
        """
        return {
            key: value
            for feature in features
            for name, changed in self.changes.items()
            if f"{feature}_".startswith(f"{name}_")
            for key, value in changed.items()
        }


#: An address of the web, or the slug of a Prefect block's type and the block's name.
ALERTS = r"^(https?://\S+|[a-z0-9-]+/[a-z0-9-]+)$"


class NewData(Section):
    """What a folder of new faces must satisfy before it may enter a training."""

    failures: Fraction  # maximum share of its faces that may fail; those are left out
    minimum: Count  # minimum number of faces that remain
    eye_distance: Positive  # minimum pixels between the eyes
    shape_error: Positive  # maximum RMS distance from the mean landmarks, in eye distances


class Loop(Section):
    """The retraining loop: the flows that ingest new faces, retrain and promote.

    `drop` is the folder that new faces are put into, `pool` the Prefect work pool, `attempts` how
    often a folder of new faces is tried, `declared` the dotted params that drift may change,
    `alerts` the URL or Prefect block that people are told by.
    """

    drop: str
    pool: Literal["unmask", "gpu"]
    promote: Literal["automatic", "by_hand"]
    attempts: Count
    declared: Annotated[tuple[str, ...], Field(strict=False)]
    new_data: NewData
    alerts: Annotated[str, Field(pattern=ALERTS)] | None = None


class Retention(Section):
    """What the flow `clean_up` keeps of retrainings that are older than `days`.

    `predecessors` is the number of champions before the present one, `cache_gigabytes` what decoded
    faces may take.
    """

    days: NotNegative = 30.0
    predecessors: Annotated[int, Field(ge=0)] = 3
    cache_gigabytes: NotNegative = 20.0


MASK_TYPES: tuple[str, ...] = (
    "surgical", "kn95", "n95_cup", "duckbill", "fish", "cloth", "sponge", "gaiter", "bandana",
    "flat", "cup", "respirator", "window", "shield",
)  # fmt: skip
FABRICS: tuple[str, ...] = (
    "plain", "dyed", "stripes", "checks", "dots", "floral", "text", "camo", "knit", "leopard",
    "panels", "skin", "logo", "flag", "grin", "photo",
)  # fmt: skip
DEFECTS = ("edge", "unshaded", "light", "texture", "resolution", "shadow", "border")
WEARS = ("proper", "nose_out", "slipped")
NETWORKS = ("gender", "landmarks", "segmentation", "inpainting")


class Source(Section):
    """One source of faces.

    `path` is a folder relative to params.yaml, `count` the number of faces used. Training samples a
    face in proportion to its source's `weight`. `resolution` is the resolved detail of a picture
    over its side in pixels: below 1 where it was enlarged.
    """

    name: Literal["appearance_model", "celeba", "ffhq", "lfw", "utkface", "folder"]
    count: Count | None = None
    path: str | None = None
    weight: Positive = 1.0
    resolution: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> "Source":
        if self.name == "appearance_model":
            if self.count is None:
                raise ValueError("appearance_model needs a count")
        elif self.path is None:
            raise ValueError(f"{self.name} needs a path to its folder")
        return self


class Faces(Section):
    """Stage `faces`: its sources, rows per shard, and number of processes."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1, strict=False)]
    shard_rows: Count
    workers: Count


def _check_weights(names: tuple[str, ...], weights: dict[str, float]) -> None:
    check_names(names, weights)
    if any(w < 0 for w in weights.values()) or sum(weights.values()) <= 0:
        raise ValueError("weights must be at least 0 and not all 0")


class Masking(Section):
    """How masks are sampled.

    `variants` is the number of masks per training face; any other face gets one. `types`, `fabrics`
    and `wear` map names to weights. `defects` and `occluders` map each defect of a pasted mask, and
    each object in front of one, to its probability. `variation` says how far outlines differ from
    their type's: 0 hardly at all, 1 most.
    """

    variants: Count
    workers: Count
    types: dict[str, float]
    fabrics: dict[str, float]
    wear: dict[str, float]
    defects: dict[str, Fraction]
    occluders: Occluders
    variation: Fraction

    @model_validator(mode="after")
    def _known(self) -> "Masking":
        _check_weights(MASK_TYPES, self.types)
        _check_weights(FABRICS, self.fabrics)
        _check_weights(WEARS, self.wear)
        check_names(DEFECTS, self.defects)
        return self


ImageSize = Literal[64, 128, 192, 256]


class Fit(Section):
    """What every training shares. A step is one optimiser step on `batch_size` faces.

    `image_size` is the side in pixels of the network's input; `hold` the fraction of the steps,
    after the warm-up, for which the learning rate stays constant before it decays.
    """

    image_size: ImageSize
    steps: Count
    epoch_steps: Count
    batch_size: Count
    learning_rate: Positive
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)]
    patience: Count | None  # epochs without improvement before it stops; null: never early
    precision: Literal["32-true", "bf16-mixed", "auto"]  # auto: bf16 where native, else fp32
    compile: bool

    @model_validator(mode="after")
    def _whole_epochs(self) -> "Fit":
        if self.steps % self.epoch_steps:
            raise ValueError(f"steps must be a multiple of epoch_steps ({self.epoch_steps})")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2, batch norms need it")
        return self


class FitWithBackbone(Fit):
    """Training of a network on a backbone of timm, with or without its ImageNet weights."""

    backbone: str
    pretrained: bool
    photometric: Fraction = 0.25  # strength of the random changes of light and colour


class Gender(FitWithBackbone):
    """Training of the gender classifier."""

    dropout: Fraction


class Landmarks(FitWithBackbone):
    """Training of the landmark network."""

    heatmap_channels: Annotated[int, Field(ge=8, multiple_of=8)]


class Segmentation(FitWithBackbone):
    """Training of Mask R-CNN.

    `mask_resolution` is the side of its mask head's output; `thin` the additional weight of pixels
    of a mask's thin parts, such as ear loops.
    """

    fpn_channels: Count
    mask_resolution: Literal[28, 56, 112]
    thin: Annotated[float, Field(ge=0)] = 0.0


class Inpainting(Fit):
    """Training of the inpainting network.

    `block` is the side in pixels of the blocks that the U-Net works on, `channels` its widths from
    the finest level to the coarsest, `detail` the width of the stage that refines its output, 0 for
    none. `latent` is the length of the latent code z, `free_nats` the KL divergence per component
    that costs nothing, `divergence` the weight of what exceeds it. `perceptual`, `distance`,
    `style`, `adversarial` and `feature_matching` weigh their losses: `perceptual` the difference of
    low-level features, `distance` the perceptual distance that is reported.
    """

    block: Literal[2, 4] = 2
    channels: Annotated[
        tuple[Annotated[int, Field(ge=8, multiple_of=8)], ...],
        Field(min_length=2, max_length=6, strict=False),
    ]
    middle: Count = 2  # blocks at the coarsest level
    detail: Annotated[int, Field(ge=0, multiple_of=8)] = 0
    latent: Annotated[int, Field(ge=0)]
    free_nats: Annotated[float, Field(ge=0)] = 0.0
    divergence: Annotated[float, Field(ge=0)] = 0.004
    backbone: str
    pretrained: bool
    perceptual: Annotated[float, Field(ge=0)]
    distance: Annotated[float, Field(ge=0)] = 0.0
    style: Annotated[float, Field(ge=0)]
    adversarial: Annotated[float, Field(ge=0)]
    feature_matching: Annotated[float, Field(ge=0)]
    adversarial_from: Annotated[int, Field(ge=0)]
    discriminator_learning_rate: Positive
    ema: Fraction  # decay per step of the moving average of the weights

    @model_validator(mode="after")
    def _adversarial_in_time(self) -> "Inpainting":
        if self.adversarial_from >= self.steps:
            raise ValueError(f"adversarial_from must be less than steps ({self.steps})")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> "Inpainting":
        if self.image_size % (self.block * 2 ** (len(self.channels) - 1)):
            raise ValueError(
                f"channels has {len(self.channels)} levels, too many for blocks of {self.block} "
                f"pixels and image_size {self.image_size}"
            )
        return self


class Train(Section):
    """Training of every network, from random (`scratch`) or the released weights (`release`)."""

    init: Literal["scratch", "release"]
    gender: Gender
    landmarks: Landmarks
    segmentation: Segmentation
    inpainting: Inpainting


class Evaluate(Section):
    """Stage `evaluate`: maximum faces, eigenfaces of that baseline, minimum faces per slice."""

    max_faces: Count
    eigenfaces: Count
    minimum_slice: Count


class Params(Section):
    """The whole of params.yaml. `image_size` is the side of the canonical frame in pixels.

    `cluster` says where faces are made, masked and restored: null is this machine's processes,
    local:N are N of them by Dask, and else it is the address of a Dask scheduler.

    A file of before `augment` and `restore` were there has their defaults.
    """

    seed: Annotated[int, Field(ge=0)]
    image_size: ImageSize
    threads: Count
    cluster: ClusterName = None
    faces: Faces
    masking: Masking
    train: Train
    augment: Augment = Augment()
    restore: Restore = Restore()
    evaluate: Evaluate
    gate: Gate
    inbox: Inbox
    drift: Drift
    loop: Loop
    retention: Retention = Retention()

    @model_validator(mode="after")
    def _changes_exist(self) -> "Params":
        for key in (key for changed in self.drift.changes.values() for key in changed):
            part = self.model_dump(mode="json")
            try:
                for name in key.split("."):
                    part = part[int(name) if isinstance(part, list) else name]
            except (LookupError, TypeError, ValueError) as error:
                raise ValueError(f"drift.changes names '{key}', which is no parameter") from error
        return self

    @model_validator(mode="after")
    def _large_enough(self) -> "Params":
        for name in NETWORKS:
            if (seen := getattr(self.train, name).image_size) > self.image_size:
                raise ValueError(
                    f"train.{name}.image_size is {seen}, larger than image_size {self.image_size}"
                )
        if self.train.inpainting.image_size != self.image_size:
            raise ValueError("train.inpainting.image_size must be image_size: it fills the frame")
        return self


def parse_params(tree: object, path: Path) -> Params:
    """Validate a parsed YAML tree; `path` is the file that errors name.

    Raises:
        UnmaskError: with one sentence that names the file, the key and what is wrong.
    """
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        raise UnmaskError(sentence_of(error, path)) from error


def load_params(path: Path | None = None) -> Params:
    """Read and validate params.yaml.

    Args:
        path: of the file; None takes the project's.

    Raises:
        ProjectError: outside any project, where no file is given.
        UnmaskError: for a missing file, bad YAML, or a key or value that does not fit.
    """
    path = path or in_project("params.yaml")
    try:
        tree = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError as error:
        raise UnmaskError(f"{path} does not exist: run `unmask params use cpu`.") from error
    except YAMLError as error:
        raise UnmaskError(f"{path} is not valid YAML: {str(error).splitlines()[0]}.") from error
    return parse_params(tree, path)
