"""Export of the networks as ONNX, with what is needed to run them in the file's metadata."""

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from unmask.models.network import Network

OPSET = 17


def _halve(model: onnx.ModelProto) -> None:
    """Store as float16 each weight that it holds exactly; the graph computes in float32."""
    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weights)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < 64 or not np.array_equal(half.astype(np.float32), values):
            continue
        name = weights.name
        weights.CopyFrom(numpy_helper.from_array(half, f"{name}.float16"))
        casts.append(helper.make_node("Cast", [weights.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def export(network: Network, size: int, weights_md5: str, path: Path) -> None:
    """Write an ONNX file of a network, which computes in float32.

    Inputs are float32: `images` (N, 3, S, S) RGB in [0, 1], and of the inpainting network those of
    `Generator.forward`. Outputs: gender's `logit` (N,) of 'male' and the `features` (N, F) that it
    is computed from; `landmarks` (N, 68, 2) in pixels; `probability` (1, S, S) of mask in [0, 1]
    and `score` (1,) in [0, 1] of a single picture, zeros where no mask is found; `filled`
    (N, 3, S, S), the face.

    Args:
        network: any of the four.
        size: S, the side of its pictures in pixels.
        weights_md5: of the stored weights, kept in the file's metadata with `image_size` and
            `latent`, the numbers in z.
        path: of the file; weights that float16 holds exactly are stored so.
    """
    network = copy.deepcopy(network).cpu().float()
    tracing = network.tracing(size)
    names = list(tracing.inputs)
    free = {name: {0: "count"} for name in (*names, *tracing.outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that are constant, which they are here
        torch.onnx.export(
            tracing.module.eval(),
            tuple(tracing.inputs.values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,  # folding batch norms would round weights
            input_names=names,
            output_names=list(tracing.outputs),
            dynamic_axes=free if tracing.batches else {},
        )
    model = onnx.load(path)
    _halve(model)
    helper.set_model_props(
        model, {"image_size": str(size), "latent": str(network.latent), "weights_md5": weights_md5}
    )
    onnx.save(model, path)
