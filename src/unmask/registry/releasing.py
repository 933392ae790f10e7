"""Making a release: networks as float16, with scores on the holdout split and a model card."""

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from unmask.config.params import NETWORKS, Params
from unmask.config.restore import RESTORE, load_restore, save_restore
from unmask.datasets.cache import open_split
from unmask.evaluation.evaluate import evaluate
from unmask.evaluation.native_resolution import at_native_resolution
from unmask.models.stored import load_network, save_network
from unmask.networks import CARD, METADATA, PARAMS
from unmask.project import in_project
from unmask.registry.card import model_card
from unmask.registry.loading import find_networks
from unmask.registry.versions import RegistryError


def export(networks: Path, out: Path) -> None:
    """Copy stored networks with their weights as float16, and the settings that they restore with.

    Args:
        networks: the folder of the stored networks.
        out: the folder to write them into, laid out likewise.

    Raises:
        RegistryError: naming the network with a weight that float16 cannot hold.
    """
    for name in NETWORKS:
        section = json.loads((networks / name / PARAMS).read_text())
        metadata = json.loads((networks / name / METADATA).read_text())
        network = load_network(networks / name).half()
        if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
            raise RegistryError(f"a weight of the {name} network is too large for float16.")
        del section["name"], metadata["weights_md5"]
        save_network(network, name, section, metadata, out / name)
    save_restore(load_restore(networks), out)


def score(
    params: Params,
    masked: Path,
    split: str,
    models: Path,
    reports: Path,
    source: str | None = None,
) -> dict:
    """Score stored networks on the source pictures of a split, at native resolution.

    Args:
        params: the project's; `evaluate.max_faces` limits the pictures.
        masked: the folder of the masked faces, which names the pictures of each split.
        split: name of the split, e.g. 'holdout'.
        models: the folder of the stored networks.
        reports: the folder to write scores, plots and pictures into.
        source: name of the only source whose faces are scored, e.g. lfw; None scores all.

    Returns:
        The scores, as in reports/metrics.json.

    Raises:
        UnmaskError: when the split has no faces, or none of the source.
    """
    eval_set = at_native_resolution(params, in_project(), open_split(masked, split), source)
    reports.mkdir(parents=True, exist_ok=True)
    return evaluate(params, eval_set, open_split(masked, "train"), models, reports)


def release(params: Params, masked: Path, model: str, out: Path, reports: Path) -> dict:
    """Export a model as float16, score the export on the holdout split, and write its model card.

    `out` stays as it was until all is done.

    Args:
        params: the project's; `evaluate.max_faces` limits the pictures that are scored.
        masked: the folder of the masked faces, which names the pictures of the holdout split.
        model: as `find_networks` names it, e.g. models:/unmask@champion or a folder.
        out: the folder of the released networks.
        reports: the folder to write scores, plots and pictures into.

    Returns:
        The scores, as in reports/metrics.json.
    """
    networks, _ = find_networks(model)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as folder:
        partial = Path(folder)
        export(networks, partial)
        metrics = score(params, masked, "holdout", partial, reports)
        (partial / CARD).write_text(model_card(partial, reports, "holdout", framed=False))
        for name in NETWORKS:
            shutil.rmtree(out / name, ignore_errors=True)
        for part in (*NETWORKS, RESTORE, CARD):
            os.replace(partial / part, out / part)
    return metrics
