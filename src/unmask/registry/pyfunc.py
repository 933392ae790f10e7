"""The registered model as MLflow runs it (models from code: this file is the model's code)."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel
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
    """Column `image` (base64 JPEG or PNG) to `image` (base64 PNG, same size), `faces`, `mask`
    (base64 PNG, 255 where pixels were replaced), and `samples` (base64 PNG), other plausible
    restorations, as many as are asked for."""

    def load_context(self, context) -> None:
        """Load the four networks."""
        self._crops = Chain.load(Path(context.artifacts["networks"]))
        self._photos = PhotoRestorer(self._crops)

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None):
        """Restore every picture.

        Args:
            model_input: column `image`.
            params: `crop`, whether each picture shows one face, so that none is looked for;
                `gender`: auto, male or female; `samples`: 0 to 32; `seed` of their draws.

        Raises:
            PictureError: naming the row that holds no image.
            OptionError: naming the param that does not fit.
        """
        given = {"crop": False, "gender": "auto", "samples": 0, "seed": 0, **(params or {})}
        options = RestoreOptions.parse(given["gender"], given["samples"], given["seed"])
        restorer = self._crops if given["crop"] else self._photos
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


mlflow.models.set_model(Unmask())
