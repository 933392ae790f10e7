"""The section of params.yaml that the gate reads."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from unmask.section import Count, Fraction, Positive, Section


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
