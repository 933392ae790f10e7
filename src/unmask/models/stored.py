"""A trained network on disk: weights, resolved params and metadata, written whole or not at all."""

import json
from pathlib import Path
from typing import get_type_hints

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from unmask.config.params import Fit, Train
from unmask.errors import UnmaskError
from unmask.models import build
from unmask.models.export import export
from unmask.models.network import Network
from unmask.networks import METADATA, ONNX, PARAMS, WEIGHTS, missing, read_json
from unmask.project import md5_of, whole_folder


def save_network(network: nn.Module, name: str, section: dict, metadata: dict, out: Path) -> str:
    """Write a network so that `out` appears complete or stays as it was.

    Args:
        network: the network, as `unmask.models.build` makes it.
        name: its name, one of NETWORKS.
        section: the resolved params of `train.<name>`, serialisable as JSON.
        metadata: what else to keep beside the weights, serialisable as JSON.
        out: the folder to write.

    Returns:
        The md5 of the weights file.

    Raises:
        UnmaskError: when the weights cannot be written.
    """
    with whole_folder(out) as partial:
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        try:
            save_file(state, partial / WEIGHTS)
        except SafetensorError as error:
            raise UnmaskError(f"{out / WEIGHTS} could not be written: {error}.") from error
        (partial / WEIGHTS).chmod(0o644)  # safetensors writes files that only the owner can read
        checksum = md5_of([partial / WEIGHTS])
        (partial / PARAMS).write_text(json.dumps({"name": name, **section}, indent=1) + "\n")
        _write_metadata({**metadata, "weights_md5": checksum}, partial)
        add_export(partial)
    return checksum


def _write_metadata(metadata: dict, folder: Path) -> None:
    (folder / METADATA).write_text(json.dumps(metadata, indent=1) + "\n")


def add_export(folder: Path) -> None:
    """Export a network that was stored without an ONNX file.

    It is loaded for that: the one in training has hooks, by which it holds all data.

    Raises:
        UnmaskError: as `load_network`.
    """
    network = load_network(folder)
    export(network, network.image_size, network.weights_md5, folder / ONNX)
    metadata = read_json(folder / METADATA)
    _write_metadata({**metadata, "onnx_md5": md5_of([folder / ONNX])}, folder)


def load_network(folder: Path) -> Network:
    """Rebuild a network from its stored params and load all its weights; it is in eval mode.

    Raises:
        UnmaskError: when a file is missing or damaged; the message names it.
    """
    section, metadata = (read_json(folder / name) for name in (PARAMS, METADATA))
    try:
        checksum = md5_of([folder / WEIGHTS])
    except FileNotFoundError as error:
        raise UnmaskError(missing(folder / WEIGHTS)) from error
    if checksum != metadata.get("weights_md5"):
        raise UnmaskError(f"{folder / WEIGHTS} is damaged: its md5 is not the recorded one.")
    try:
        name = section.pop("name")
        section_type: type[Fit] = get_type_hints(Train)[name]
        params = section_type.model_validate(section)
        network = build(name, params)
    except (KeyError, TypeError, ValidationError) as error:
        raise UnmaskError(
            f"{folder / PARAMS} is damaged: it does not hold a network's params."
        ) from error
    network.image_size, network.weights_md5 = params.image_size, metadata["weights_md5"]
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise UnmaskError(f"{folder / WEIGHTS} does not fit its params: {error}") from error
    return network.eval()
