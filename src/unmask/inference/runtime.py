"""Running the stored networks by ONNX Runtime.

What a machine computes them with is set by its environment, since a model goes to other machines.
"""

import os
from hashlib import md5
from pathlib import Path

import numpy as np
import onnxruntime

from unmask.errors import UnmaskError
from unmask.networks import METADATA, ONNX, missing, read_json

THREADS, PROVIDER = "UNMASK_THREADS", "UNMASK_PROVIDER"  # environment variables
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def threads_of_environment() -> int:
    """UNMASK_THREADS, the threads that each network computes with in each process; 1 without it.

    Raises:
        UnmaskError: when it is no number from 1 on.
    """
    value = os.environ.get(THREADS) or "1"
    if not value.isdecimal() or int(value) == 0:
        raise UnmaskError(f"{THREADS} is {value!r}: set it to a number from 1 on, or unset it.")
    return int(value)


def _provider_of_environment() -> str:
    value = os.environ.get(PROVIDER) or "cpu"
    if value not in _PROVIDERS:
        raise UnmaskError(f"{PROVIDER} is {value!r}: set it to {' or '.join(_PROVIDERS)}.")
    return _PROVIDERS[value]


class OnnxNetwork:
    """A stored network, ready to answer.

    UNMASK_PROVIDER=cuda computes it by the package onnxruntime-gpu, else the processor does.

    Args:
        folder: of the network, as the training stages store it.
        threads: that it computes with; None takes `threads_of_environment`. On a processor the same
            number gives the same answers.

    Attributes:
        image_size: side in pixels of the face crops that it sees.
        latent: numbers in the inpainting network's z; 0 of the others.
        weights_md5: md5 of the weights that it was exported from.

    Raises:
        UnmaskError: when a file is missing or damaged, or the provider cannot be used; the message
            names it.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        path, metadata = folder / ONNX, read_json(folder / METADATA)
        try:
            model = path.read_bytes()
        except FileNotFoundError as error:
            raise UnmaskError(missing(path)) from error
        if md5(model).hexdigest() != metadata.get("onnx_md5"):
            raise UnmaskError(f"{path} is damaged: its md5 is not the recorded one.")
        options, provider = onnxruntime.SessionOptions(), _provider_of_environment()
        options.intra_op_num_threads = threads or threads_of_environment()
        options.inter_op_num_threads = 1
        # threads that wait must not take the cores of other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # it keeps what it took, at no gain in speed
        options.log_severity_level = 3
        usable = onnxruntime.get_available_providers()
        if provider in usable:
            self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
            usable = self._session.get_providers()  # without it where no GPU answers
        if provider not in usable:
            raise UnmaskError(
                f"{PROVIDER}={os.environ[PROVIDER]} needs a GPU and the package onnxruntime-gpu in "
                "place of onnxruntime: install it, or unset the variable."
            )
        properties = self._session.get_modelmeta().custom_metadata_map
        self.image_size, self.latent = int(properties["image_size"]), int(properties["latent"])
        self.weights_md5 = properties["weights_md5"]

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs that `unmask.models.export` names, for float32 inputs by their names."""
        return self._session.run(None, inputs)
