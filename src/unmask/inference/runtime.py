"""Running the stored networks by ONNX Runtime."""

from hashlib import md5
from pathlib import Path

import numpy as np
import onnxruntime

from unmask.config.restore import Runtime
from unmask.errors import UnmaskError
from unmask.networks import METADATA, ONNX, missing, read_json

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
CPU = Runtime()


class OnnxNetwork:
    """A stored network, ready to answer.

    Args:
        folder: of the network, as the training stages store it.
        runtime: what computes it; the same gives the same answers.

    Attributes:
        image_size: side in pixels of the face crops that it sees.
        latent: numbers in the inpainting network's z; 0 of the others.
        weights_md5: md5 of the weights that it was exported from.

    Raises:
        UnmaskError: when a file is missing or damaged, or the provider is not installed; the
            message names it.
    """

    def __init__(self, folder: Path, runtime: Runtime = CPU) -> None:
        provider = _PROVIDERS[runtime.provider]
        if provider not in onnxruntime.get_available_providers():
            raise UnmaskError(
                f"restore.runtime.provider is {runtime.provider}, which needs the package "
                "onnxruntime-gpu: install it, or set the param to cpu."
            )
        path, metadata = folder / ONNX, read_json(folder / METADATA)
        try:
            model = path.read_bytes()
        except FileNotFoundError as error:
            raise UnmaskError(missing(path)) from error
        if md5(model).hexdigest() != metadata.get("onnx_md5"):
            raise UnmaskError(f"{path} is damaged: its md5 is not the recorded one.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = runtime.threads, 1
        # threads that wait must not take the cores of other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.enable_cpu_mem_arena = False  # it keeps what it took, at no gain in speed
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=[provider])
        properties = self._session.get_modelmeta().custom_metadata_map
        self.image_size, self.latent = int(properties["image_size"]), int(properties["latent"])
        self.weights_md5 = properties["weights_md5"]

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The outputs that `unmask.models.export` names, for float32 inputs by their names."""
        return self._session.run(None, inputs)
