"""The typed form of params.yaml: frozen, strict, and closed to unknown keys."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from ruamel.yaml import YAML, YAMLError

from unmask.errors import UnmaskError


class Section(BaseModel):
    """Base of every section: immutable, no unknown keys, no silent type coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Floors(Section):
    """Absolute floors of the gate; errors are ceilings, and sharpness a band."""

    mask_iou: Fraction
    nme: Positive
    gender_accuracy: Fraction
    hole_psnr_over_mean_face: float
    hole_psnr_over_telea: float
    bare_restored: Fraction  # share of faces without a mask that are altered all the same
    sharpness: Annotated[tuple[float, float], Field(strict=False)]  # of the true face's

    @model_validator(mode="after")
    def _a_band(self) -> "Floors":
        least, most = self.sharpness
        if not 0 <= least < most:
            raise ValueError("sharpness must be a band [LEAST, MOST] of numbers from 0 on")
        return self


class SliceTolerance(Section):
    """What a slice may lose on the primary metric, whichever it is."""

    perceptual: Positive  # share of the champion's distance
    hole_psnr: Positive  # dB


class Gate(Section):
    """`primary` is what a challenger must be better on: a distance, or a quality in dB."""

    primary: Literal["perceptual", "hole_psnr"]
    floors: Floors
    minimum_faces: Count
    minimum_slice: Count
    slice_tolerance: SliceTolerance
    hole_psnr_tolerance: Positive  # dB that the mean may get worse by, where it is not primary
    mask_iou_tolerance: Positive  # what the means may get worse by, against the champion
    nme_tolerance: Positive
    gender_accuracy_tolerance: Positive
    confidence: Annotated[float, Field(gt=0.5, lt=1)]  # that the challenger is better
    loss_confidence: Annotated[float, Field(gt=0.5, lt=1)]  # that no chance explains a loss
    resamples: Count
    latency_ratio: Positive


# What drift is looked for in; `embedding` has several components, embedding_1 and so on.
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
SHARES = ("masked", "skipped")


class Inbox(Section):
    """Where photos arrive: a folder relative to the project's root, or a URL as s3://bucket/folder.

    A photo is taken when its file has not changed for `settle_seconds`; `crop` says that each
    shows one face.
    """

    url: Annotated[str, Field(min_length=1)]
    batch_size: Count
    settle_seconds: Annotated[float, Field(ge=0)]
    crop: bool


class Drift(Section):
    """Input drift: the reference that stands for training, and when a difference from it counts.

    `changes` says what a retraining changes, dotted params to values, by the feature that drifted;
    a name also stands for all features that begin with it, as colour for colour_l.
    """

    bare: Annotated[float, Field(ge=0, le=0.5)]  # share of the reference that wears no mask
    components: Count  # of the embedding
    alpha: Annotated[float, Field(gt=0, lt=1)]  # false discovery rate of one check
    effect: Fraction  # largest distance of the two distributions from which they differ
    minimum: Annotated[int, Field(ge=2)]  # faces; with fewer nothing is said
    changes: dict[str, dict[str, JsonValue]]

    @model_validator(mode="after")
    def _known(self) -> "Drift":
        for name in self.changes:
            if not any(f"{feature}_".startswith(f"{name}_") for feature in (*NUMBERS, *SHARES)):
                raise ValueError(f"changes: unknown feature {name!r}")
        return self

    def changes_for(self, features: tuple[str, ...]) -> dict[str, JsonValue]:
        """What a retraining changes when these features drifted; later ones win."""
        return {
            key: value
            for feature in features
            for name, changed in self.changes.items()
            if f"{feature}_".startswith(f"{name}_")
            for key, value in changed.items()
        }


class NewData(Section):
    """What a folder of new faces must keep to before it may enter a training."""

    failures: Fraction  # share of its faces that may fail; those are left out
    minimum: Count  # faces that must be left
    eye_distance: Positive  # pixels between the eyes, at least
    shape_error: Positive  # RMS distance from the mean face's landmarks, in eye distances, at most


class Loop(Section):
    """The flows that retrain and promote."""

    drop: str
    pool: Literal["unmask", "gpu"]
    promote: Literal["automatic", "by_hand"]
    attempts: Count
    declared: Annotated[tuple[str, ...], Field(strict=False)]
    new_data: NewData


MASK_TYPES = (
    "surgical", "kn95", "n95_cup", "duckbill", "fish", "cloth", "sponge", "gaiter", "bandana",
    "flat", "cup", "respirator", "window", "shield",
)  # fmt: skip
FABRICS = (
    "plain", "dyed", "stripes", "checks", "dots", "floral", "text", "camo", "knit", "leopard",
    "panels", "skin", "logo", "flag", "grin", "photo",
)  # fmt: skip
DEFECTS = ("edge", "unshaded", "light", "texture", "resolution", "shadow", "border")
OCCLUDERS = ("hand", "hair", "microphone", "cup", "scarf")
WEARS = ("proper", "nose_out", "slipped")
NETWORKS = ("gender", "landmarks", "segmentation", "inpainting")


class ParamsError(UnmaskError):
    """A params file that cannot be used; the message names the file, the key and the remedy."""


class Source(Section):
    """One source of faces: `path` is a folder relative to params.yaml, `count` the faces taken.

    Training draws a face in proportion to its source's `weight`. `resolution` is the share of a
    picture's pixels, counted along a side, that it really resolves: below 1 where it was enlarged.
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
    sources: Annotated[tuple[Source, ...], Field(min_length=1, strict=False)]
    shard_rows: Count
    workers: Count


def _weights(names: tuple[str, ...]):
    def check(weights: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(weights) - set(names))
        if unknown:
            raise ValueError(f"unknown name {unknown[0]!r}, use {', '.join(names)}")
        if any(w < 0 for w in weights.values()) or sum(weights.values()) <= 0:
            raise ValueError("weights must be at least 0 and not all 0")
        return weights

    return check


class Masking(Section):
    """Weights that styles are drawn by; `variants` masks a training face, one on any other.

    `defects` and `occluders` give each fault of a pasted mask, and each thing before one, its
    chance; `variation` says how far outlines stray from their type's.
    """

    variants: Count
    workers: Count
    types: dict[str, float]
    fabrics: dict[str, float]
    wear: dict[str, float]
    defects: dict[str, Fraction]
    occluders: dict[str, Fraction]
    variation: Fraction

    @model_validator(mode="after")
    def _known(self) -> "Masking":
        for names, weights in (
            (MASK_TYPES, self.types),
            (FABRICS, self.fabrics),
            (WEARS, self.wear),
        ):
            _weights(names)(weights)
        for names, chances in ((DEFECTS, self.defects), (OCCLUDERS, self.occluders)):
            if unknown := sorted(set(chances) - set(names)):
                raise ValueError(f"unknown name {unknown[0]!r}, use {', '.join(names)}")
        return self


ImageSize = Literal[64, 128, 192, 256]


class Fit(Section):
    """What every training shares. A step is one optimiser step on `batch_size` faces.

    `image_size` is the side in pixels of the frame that the network sees; `hold` the share of the
    steps, after the warm-up, over which the learning rate stays before it falls.
    """

    image_size: ImageSize
    steps: Count
    epoch_steps: Count
    batch_size: Count
    learning_rate: Positive
    hold: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)]
    patience: Count | None  # epochs without a better validation score; null: the fixed budget
    precision: Literal["32-true", "bf16-mixed", "auto"]  # auto: bf16 where it is fast
    compile: bool

    @model_validator(mode="after")
    def _whole_epochs(self) -> "Fit":
        if self.steps % self.epoch_steps:
            raise ValueError(f"steps must be a multiple of epoch_steps ({self.epoch_steps})")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2, batch norms need it")
        return self


class Backboned(Fit):
    backbone: str
    pretrained: bool
    photometric: Fraction = 0.25  # how far light and colour of what it trains on are changed


class Gender(Backboned):
    dropout: Fraction


class Landmarks(Backboned):
    heatmap_channels: Annotated[int, Field(ge=8, multiple_of=8)]


class Segmentation(Backboned):
    """`thin` is what pixels of a mask's thin parts, such as ear loops, weigh more than others."""

    fpn_channels: Count
    mask_resolution: Literal[28, 56, 112]
    thin: Annotated[float, Field(ge=0)] = 0.0


class Inpainting(Fit):
    """`block` is the side in pixels of the blocks that the U-Net works on, `channels` its widths
    from the finest level to the coarsest; `detail` the width of the stage that adds what is finer,
    0 for none; `free_nats` what each number of the latent z may tell of a face at no cost, and
    `divergence` the weight of each nat more. `perceptual` weighs what features of fine structure
    differ by, `distance` the perceptual distance itself, which is of a face's parts."""

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
    ema: Fraction

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
    """Every network's training; `init: release` starts it from the released weights."""

    init: Literal["scratch", "release"]
    gender: Gender
    landmarks: Landmarks
    segmentation: Segmentation
    inpainting: Inpainting


class Evaluate(Section):
    max_faces: Count
    eigenfaces: Count
    minimum_slice: Count


class Params(Section):
    seed: Annotated[int, Field(ge=0)]
    image_size: ImageSize
    threads: Count
    faces: Faces
    masking: Masking
    train: Train
    evaluate: Evaluate
    gate: Gate
    inbox: Inbox
    drift: Drift

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

    loop: Loop

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


def _sentence(error: ValidationError, path: Path) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "the whole file"
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown parameter '{key}', remove it or correct its spelling."
    if first["type"] == "missing":
        return f"{path}: parameter '{key}' is missing, add it (see conf/)."
    reason = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], dict):
        return f"{path}: '{key}' does not fit: {reason}."
    return f"{path}: parameter '{key}' is {first['input']!r}: {reason}."


def parse_params(tree: object, path: Path) -> Params:
    """Validate a parsed YAML tree; `path` names the file in errors.

    Raises:
        ParamsError: with one sentence that names the file, the key and what is wrong.
    """
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        raise ParamsError(_sentence(error, path)) from error


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and validate params.yaml.

    Raises:
        ParamsError: for a missing file, bad YAML, or a key or value that does not fit.
    """
    try:
        tree = YAML(typ="safe").load(path.read_text())
    except FileNotFoundError as error:
        raise ParamsError(f"{path} does not exist: run `unmask params use cpu`.") from error
    except YAMLError as error:
        raise ParamsError(f"{path} is not valid YAML: {str(error).splitlines()[0]}.") from error
    return parse_params(tree, path)
