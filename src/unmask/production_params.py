"""The sections of params.yaml that the running system reads; but for the reference, no training."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from unmask.section import Count, Fraction, Positive, Section

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
