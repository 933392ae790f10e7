"""The registered model as MLflow runs it (models from code: this file is the model's code)."""

import base64
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property

from unmask.restore.chain import Chain, PictureError
from unmask.restore.pictures import encode_picture, from_base64

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
OUTPUTS = Schema([ColSpec(DataType.string, "image"), ColSpec(Array(_FACE), "faces")])
PARAMS = ParamSchema(
    [
        ParamSpec("crop", DataType.boolean, True),
        ParamSpec("gender", DataType.string, "auto"),
    ]
)
GENDERS = {"auto": None, "male": "male", "female": "female"}


class Unmask(PythonModel):
    """Column `image` (base64 JPEG or PNG) to `image` (base64 PNG, same size) and `faces`."""

    def load_context(self, context) -> None:
        """Load the four networks."""
        self._chain = Chain.load(Path(context.artifacts["networks"]))

    def predict(self, context, model_input: pd.DataFrame, params: dict | None = None):
        """Restore every picture.

        Args:
            model_input: column `image`.
            params: `crop`, which must be true, and `gender`: auto, male or female.

        Raises:
            PictureError: naming the row that holds no image, or the param that does not fit.
        """
        given = {"crop": True, "gender": "auto", **(params or {})}
        if not given["crop"]:
            raise PictureError("crop=false needs face detection, which this model does not have.")
        if given["gender"] not in GENDERS:
            raise PictureError(f"gender is {given['gender']!r}: use auto, male or female.")
        answers = []
        for row, text in enumerate(model_input["image"]):
            picture = from_base64(text, f"row {row}")
            restored = self._chain.restore(picture, GENDERS[given["gender"]])
            encoded = encode_picture(restored.picture, "unmask" if restored.hole.any() else None)
            answers.append(
                {
                    "image": base64.b64encode(encoded).decode(),
                    "faces": [face.as_json() for face in restored.faces],
                }
            )
        return pd.DataFrame(answers)


mlflow.models.set_model(Unmask())
