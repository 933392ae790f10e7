"""The files of the four trained networks, which nothing but their names is needed to read."""

import json
from hashlib import md5
from pathlib import Path

from unmask.config.params import NETWORKS
from unmask.config.restore import load_restore
from unmask.errors import UnmaskError
from unmask.project import md5_of

#: The released networks, laid out as the training stages store them, as float16.
RELEASED = Path(__file__).parent / "release"
WEIGHTS, ONNX = "model.safetensors", "model.onnx"  # to train on from, and to run
SYNTHETIC = "appearance_model"  # the source of faces that are nobody's
_SOURCES = {SYNTHETIC: "the face model (synthetic)", "folder": "folders"}
PARAMS, METADATA, CARD = "params.json", "metadata.json", "MODEL_CARD.md"


def missing(path: Path) -> str:
    """The sentence on a file of a network that is not there."""
    if path.name == ONNX and path.with_name(WEIGHTS).is_file():
        return (
            f"{path} is missing, as in versions that unmask 0.1 registered: `unmask models upgrade "
            "NUMBER` makes one that restores."
        )
    return f"{path} is missing: run `dvc repro` to train the network."


def read_json(path: Path) -> dict:
    """The object in a network's PARAMS or METADATA.

    Raises:
        UnmaskError: when the file is missing or damaged.
    """
    try:
        document = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UnmaskError(missing(path)) from error
    except ValueError as error:
        raise UnmaskError(f"{path} is damaged: it is not JSON.") from error
    if not isinstance(document, dict):
        raise UnmaskError(f"{path} is damaged: it is not a JSON object.")
    return document


def packed_md5(folder: Path) -> str:
    """Md5 over the files of four stored networks, and settings other than the defaults.

    Raises:
        UnmaskError: when a network is missing.
        UnmaskError: when the settings are damaged.
    """
    for name in NETWORKS:
        if not (folder / name / METADATA).is_file():
            raise UnmaskError(f"{folder / name} holds no trained network: run `dvc repro` first.")
        if not (folder / name / ONNX).is_file():
            raise UnmaskError(missing(folder / name / ONNX))
    files = (WEIGHTS, ONNX, PARAMS)
    networks = md5_of(folder / name / file for name in NETWORKS for file in files)
    settings = load_restore(folder).fingerprint
    return md5(networks.encode() + settings).hexdigest() if settings else networks


def chain_md5(folder: Path) -> str:
    """The md5 of the chain in a folder, see `unmask.inference.chain.Chain`; loads no network.

    Raises:
        UnmaskError: when a network is missing or damaged.
    """
    sums = "".join(str(read_json(folder / name / METADATA).get("weights_md5")) for name in NETWORKS)
    return md5(sums.encode() + load_restore(folder).fingerprint).hexdigest()


def sources_of(folder: Path) -> set[str]:
    """The sources whose faces the inpainting network was trained on; empty where not recorded."""
    return set(read_json(folder / "inpainting" / METADATA).get("faces") or {})


def trained_on(folder: Path) -> str:
    """What stored networks were trained on last, in words, by the inpainting network's metadata."""
    metadata = read_json(folder / "inpainting" / METADATA)
    faces = metadata.get("faces") or {}
    if not faces:
        return "trained on faces that were not recorded"
    names = [f"{count:,} of {_SOURCES.get(name, name)}" for name, count in sorted(faces.items())]
    whence = ", going on from released weights" if metadata.get("init") == "release" else ""
    return f"trained on faces: {', '.join(names)}{whence}"
