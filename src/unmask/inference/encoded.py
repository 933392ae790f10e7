"""Restoring pictures that come and go as base64, for the registered model and the server."""

import base64
from typing import Any

from unmask.inference.answers import Outputs, document_of, encoded
from unmask.inference.chain import Chain
from unmask.inference.image_file import Writing
from unmask.inference.photo import PhotoRestorer
from unmask.inference.pictures import from_base64
from unmask.inference.results import PictureError, RestoreOptions

DEFAULTS: dict[str, Any] = {
    "crop": False,
    "faces": "all",
    "gender": "auto",
    "samples": 0,
    "seed": 0,
    "format": "png",
    "quality": 0,
    "strip_metadata": False,
}


class EncodedRestorer:
    """Restores by a chain.

    Args:
        chain: the four networks.
        model: the model's name and version, for metadata.
    """

    def __init__(self, chain: Chain, model: str = "unmask") -> None:
        self._restorer, self._model = PhotoRestorer(chain), model

    def restore(self, text: str, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Restore a picture.

        Args:
            text: the bytes of an image file as base64.
            name: of the picture, for errors.
            params: `crop`: whether the picture shows one face, so that no face is searched for;
                `faces`: all, or numbers of those to restore, such as 1,3; `gender`: auto, male or
                female; `samples`: 0 to 32; `seed`: of the samples' draws, at least 0; `format`,
                `quality` and `strip_metadata`, of `Writing.parse`. A missing one takes that of
                DEFAULTS.

        Returns:
            `image`, a file of the same size as base64; `faces`, what was found of each face;
            `mask`, a base64 PNG, 255 where pixels were replaced; `samples`, other plausible
            restorations as `image` is one, as many as `samples` says; `digital_source_type`,
            IPTC's, empty where nothing was replaced; and `warnings`, what of the file is not kept.

        Raises:
            PictureError: naming the picture, when it is no image, or a face that is chosen was not
                found.
            UnmaskError: naming the param whose value does not fit.
        """
        values = DEFAULTS | params
        names = ("gender", "samples", "seed", "crop", "faces")
        options = RestoreOptions.parse(*(values[name] for name in names))
        writing = Writing.parse(values["format"], values["quality"], values["strip_metadata"])
        image = from_base64(text, name)
        try:
            restored = self._restorer.restore(image.pixels, options)
        except PictureError as error:
            raise PictureError(f"{name}: {error}.") from error
        document = document_of(image, restored, self._model, options)
        outputs = Outputs(writing, save_masks=True, uncertainty=False)
        picture, mask, *samples = (
            base64.b64encode(content).decode()
            for _, content in encoded(image, restored, self._model, outputs)
        )
        return {
            "image": picture,
            "faces": document["faces"],
            "mask": mask,
            "samples": samples,
            "digital_source_type": document["digital_source_type"] or "",
            "warnings": document["warnings"],
        }
