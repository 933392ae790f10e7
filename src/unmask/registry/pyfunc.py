"""The registered model as MLflow runs it: its signature and its Python class."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property

from unmask.inference.chain import Chain
from unmask.inference.photo import PhotoRestorer
from unmask.inference.pictures import from_base64, to_base64
from unmask.inference.results import RestoreOptions

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
    ]
)
PARAMS = ParamSchema(
    [
        ParamSpec("crop", DataType.boolean, False),
        ParamSpec("gender", DataType.string, "auto"),
        ParamSpec("samples", DataType.long, 0),
        ParamSpec("seed", DataType.long, 0),
    ]
)


class Unmask(PythonModel):
    """Restores one picture per row, by the networks in the version's artifacts."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the four networks."""
        self._chain = Chain.load(Path(context.artifacts["networks"]))
        self._photo_restorer = PhotoRestorer(self._chain)

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
            params: `crop`: whether each picture shows one face, so that no face is searched for;
                `gender`: auto, male or female; `samples`: 0 to 32; `seed`: of the samples' draws,
                at least 0. A missing one takes the default of the signature.

        Returns:
            A row per picture with columns `image`, a base64 PNG of the same size; `faces`, what was
            found of each face; `mask`, a base64 PNG, 255 where pixels were replaced; and `samples`,
            other plausible restorations as base64 PNGs, as many as `samples` says.

        Raises:
            PictureError: naming the row that holds no image.
            UnmaskError: naming the param whose value does not fit.
        """
        values = {"crop": False, "gender": "auto", "samples": 0, "seed": 0, **(params or {})}
        options = RestoreOptions.parse(values["gender"], values["samples"], values["seed"])
        restorer = self._chain if values["crop"] else self._photo_restorer
        answers = []
        for row, text in enumerate(model_input["image"]):
            picture = from_base64(text, f"row {row}")
            restored = restorer.restore(picture, options)
            synthesised = "unmask" if restored.hole.any() else None
            answers.append(
                {
                    "image": to_base64(restored.picture, synthesised),
                    "faces": [face.as_json() for face in restored.faces],
                    "mask": to_base64(restored.hole),
                    "samples": [to_base64(sample, synthesised) for sample in restored.samples],
                }
            )
        return pd.DataFrame(answers)
