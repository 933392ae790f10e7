"""The registered model as MLflow runs it: its signature and its Python class."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property

from unmask.inference.chain import Chain
from unmask.inference.encoded import DEFAULTS, EncodedRestorer

_FACE = Object(
    [
        Property("status", DataType.string),
        Property("reason", DataType.string),
        Property("box", Array(DataType.double)),
        Property("landmarks", Array(Array(DataType.double))),
        Property("gender_male", DataType.double),
        Property("mask_fraction", DataType.double),
        Property("score", DataType.double),
    ]
)
INPUTS = Schema([ColSpec(DataType.string, "image")])
OUTPUTS = Schema(
    [
        ColSpec(DataType.string, "image"),
        ColSpec(Array(_FACE), "faces"),
        ColSpec(DataType.string, "mask"),
        ColSpec(Array(DataType.string), "samples"),
        ColSpec(DataType.string, "digital_source_type"),
        ColSpec(Array(DataType.string), "warnings"),
    ]
)
PARAMS = ParamSchema(
    [
        ParamSpec("crop", DataType.boolean, DEFAULTS["crop"]),
        ParamSpec("faces", DataType.string, DEFAULTS["faces"]),
        ParamSpec("gender", DataType.string, DEFAULTS["gender"]),
        ParamSpec("samples", DataType.long, DEFAULTS["samples"]),
        ParamSpec("seed", DataType.long, DEFAULTS["seed"]),
        ParamSpec("format", DataType.string, DEFAULTS["format"]),
        ParamSpec("quality", DataType.long, DEFAULTS["quality"]),
        ParamSpec("strip_metadata", DataType.boolean, DEFAULTS["strip_metadata"]),
    ]
)


class Unmask(PythonModel):
    """Restores one picture per row, by the networks in the version's artifacts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the four networks."""
        self._restorer = EncodedRestorer(Chain.load(Path(context.artifacts["networks"])))

    def predict(
        self,
        context: PythonModelContext | None,  # noqa: ARG002, MLflow passes it
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Restore every picture.

        Args:
            context: unused.
            model_input: column `image`, the bytes of a JPEG or PNG file as base64.
            params: of `EncodedRestorer.restore`.

        Returns:
            A row per picture with the columns that `EncodedRestorer.restore` returns.

        Raises:
            PictureError: naming the row that holds no image.
            UnmaskError: naming the param whose value does not fit.
        """
        return pd.DataFrame(
            [
                self._restorer.restore(text, f"row {row}", params or {})
                for row, text in enumerate(model_input["image"])
            ]
        )
