"""Restoring pictures that come and go as base64, for the registered model and the server."""

from typing import Any

from unmask.inference.chain import Chain
from unmask.inference.photo import PhotoRestorer
from unmask.inference.pictures import from_base64, to_base64
from unmask.inference.results import RestoreOptions

DEFAULTS: dict[str, Any] = {"crop": False, "gender": "auto", "samples": 0, "seed": 0}


class EncodedRestorer:
    """A chain, and what finds faces in photos for it."""

    def __init__(self, chain: Chain) -> None:
        self._chain, self._photo_restorer = chain, PhotoRestorer(chain)

    def restore(self, text: str, name: str, params: dict[str, Any]) -> dict[str, Any]:
        """Restore a picture.

        Args:
            text: the bytes of an image file as base64.
            name: of the picture, for errors.
            params: `crop`: whether the picture shows one face, so that no face is searched for;
                `gender`: auto, male or female; `samples`: 0 to 32; `seed`: of the samples' draws,
                at least 0. A missing one takes that of DEFAULTS.

        Returns:
            `image`, a base64 PNG of the same size; `faces`, what was found of each face; `mask`, a
            base64 PNG, 255 where pixels were replaced; and `samples`, other plausible restorations
            as base64 PNGs, as many as `samples` says.

        Raises:
            PictureError: naming the picture, when it is no image.
            UnmaskError: naming the param whose value does not fit.
        """
        values = DEFAULTS | params
        options = RestoreOptions.parse(values["gender"], values["samples"], values["seed"])
        picture = from_base64(text, name)
        restorer = self._chain if values["crop"] else self._photo_restorer
        restored = restorer.restore(picture, options)
        synthesised = "unmask" if restored.hole.any() else None
        return {
            "image": to_base64(restored.picture, synthesised),
            "faces": [face.as_json() for face in restored.faces],
            "mask": to_base64(restored.hole),
            "samples": [to_base64(sample, synthesised) for sample in restored.samples],
        }
