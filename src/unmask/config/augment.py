"""How training faces are varied: the section `augment` of params.yaml, a part for each network."""

from typing import Annotated

from pydantic import Field, model_validator

from unmask.config.occluders import Occluders
from unmask.config.section import (
    ASCENDING,
    CountInterval,
    Fraction,
    FractionInterval,
    Interval,
    NotNegative,
    Positive,
    PositiveFractionInterval,
    PositiveInterval,
    Section,
)

Chance = Fraction
Weight = Fraction  # relative to the weights beside it
Hue = Annotated[float, Field(ge=0, le=0.5)]
Quality = Annotated[int, Field(ge=1, le=100)]
QualityInterval = Annotated[tuple[Quality, Quality], Field(strict=False), ASCENDING]
Kernel = Annotated[int, Field(ge=3)]
KernelInterval = Annotated[tuple[Kernel, Kernel], Field(strict=False), ASCENDING]


class Geometry(Section):
    """A random similarity transform about the frame's centre."""

    scale: PositiveInterval  # zoom, drawn evenly on a logarithmic scale
    roll: NotNegative  # degrees, standard deviation
    shift: Fraction  # of the side, along each axis, at most


class Camera(Section):
    """What a camera does to a picture, each change by its own chance.

    Brightness, contrast and saturation change by `train.<network>.photometric`.
    """

    colour: Chance = 0.7
    hue: Hue = 0.12  # turns of the colour wheel, at most, at photometric 1
    grey: Chance = 0.05
    blur: Chance = 0.3  # Gaussian or motion, one as likely as the other
    blur_sigma: NotNegative = 0.0125  # of the side, at most; 0.3 pixels at least
    motion: KernelInterval = (3, 5)  # pixels
    downscale: Chance = 0.3
    resolution: PositiveFractionInterval = (0.7, 0.8)  # of the side, that is left
    smallest_face: Positive = 40.0  # pixels of a frame that may be left, if less than `resolution`
    noise: Chance = 0.25
    noise_sigma: FractionInterval = (0.01, 0.05)  # of white
    compression: Chance = 0.3
    quality: QualityInterval = (35, 95)  # of JPEG


class AlignedViews(Section):
    """Views as alignment by predicted landmarks leaves them; of the gender network."""

    bare: Chance = 0.12  # of a face shown without a mask, so that one is not always found
    aligned: Geometry = Geometry(scale=(0.85, 1.18), roll=5.0, shift=0.05)
    camera: Camera = Camera()


class LooseViews(AlignedViews):
    """Views between a tight chip and a portrait, as alignment starts from, for half the faces."""

    loose: Geometry = Geometry(scale=(0.42, 1.4), roll=14.0, shift=0.12)
    lying: Chance = 0.2  # of a loose view that lies on its side
    lying_roll: NotNegative = 60.0  # degrees, standard deviation
    slim: Chance = 0.25  # of a loose view made narrower, as turned heads are
    narrowest: Annotated[float, Field(gt=0, le=1)] = 0.55  # of its width


class Print(Section):
    """A part of another picture, printed on a mask."""

    chance: Chance = 0.35
    opacity: FractionInterval = (0.4, 1.0)
    one_side: Chance = 0.4  # of a print that ends at a straight line, as panels and labels do
    edge: Positive = 0.7  # pixels, the Gaussian's sigma
    shade: Interval = (0.4, 1.8)  # of the fabric's light to its mean, that the print takes


class SurroundedViews(AlignedViews):
    """Views down to the smallest that widening leads to, for half the faces."""

    surrounded: Geometry = Geometry(scale=(0.5, 1.18), roll=10.0, shift=0.1)
    surroundings: Chance = 0.8  # of another picture's part where the source shows nothing
    part: FractionInterval = (0.33, 0.5)  # of the other picture's side
    print: Print = Print()
    occluders: Occluders = Field(default_factory=dict)  # before a face without a mask


class PredictedMask(Section):
    """The error of a predicted mask; lengths in sides of the view."""

    without_straps: Chance = 0.2
    strap: NotNegative = 0.02  # half the width of what is missed then
    shift: NotNegative = 0.01  # along each axis, standard deviation
    growth: Interval = (-0.005, 0.04)  # all round


class PredictedGender(Section):
    """The error of a predicted gender, from -1 (female) to 1 (male)."""

    unknown: Chance = 0.1
    certain: Chance = 0.6
    agreement: Interval = (-0.2, 1.0)  # with the truth, where it is not certain; below 0 is wrong


class PhotoStyle(Section):
    """Another kind of photograph, of masked picture and truth alike: one of five, by weight."""

    chance: Chance = 0.55
    grey: Weight = 0.2
    sepia: Weight = 0.1
    light: Weight = 0.5
    cast: Weight = 0.15
    night: Weight = 0.1
    brightness: NotNegative = 0.25  # of `light`, shares
    contrast: NotNegative = 0.25
    saturation: NotNegative = 0.4
    hue: Hue = 0.06  # turns of the colour wheel
    cast_levels: Annotated[int, Field(ge=0)] = 35  # grey levels per channel, at most
    gamma: CountInterval = (150, 330)  # of `night`, per cent

    @model_validator(mode="after")
    def _any_style(self) -> "PhotoStyle":
        if not any((self.grey, self.sepia, self.light, self.cast, self.night)):
            raise ValueError("one of grey, sepia, light, cast and night must be above 0")
        return self


class Degradation(Section):
    """Less detail in masked picture and truth alike, by one of four causes, each as likely."""

    chance: Chance = 0.12
    quality: QualityInterval = (25, 60)  # of JPEG
    blur_sigma: PositiveInterval = (0.8, 3.0)  # pixels
    resolution: PositiveFractionInterval = (0.25, 0.5)  # of the side, that is left
    noise_sigma: FractionInterval = (0.02, 0.08)  # of white


class InpaintingViews(Section):
    """Holes in true faces, with the errors that the chain's other networks make."""

    geometry: Geometry = Geometry(scale=(0.78, 1.08), roll=3.0, shift=0.03)
    mask: PredictedMask = PredictedMask()
    gender: PredictedGender = PredictedGender()
    posterior: Chance = 0.5  # of z drawn from the truth; else it is 0
    style: PhotoStyle = PhotoStyle()
    degradation: Degradation = Degradation()


class Augment(Section):
    """How the faces that each network trains on are varied."""

    gender: AlignedViews = AlignedViews()
    landmarks: LooseViews = LooseViews()
    segmentation: SurroundedViews = SurroundedViews()
    inpainting: InpaintingViews = InpaintingViews()
