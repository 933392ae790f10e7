"""Versions that unmask 0.1 registered, which hold no ONNX files, made ones that restore."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from unmask.config.params import NETWORKS
from unmask.models.stored import add_export
from unmask.networks import ONNX
from unmask.registry.references import attach_reference, reference_of
from unmask.registry.versions import NAME, RegistryError, find_version, networks_of, register
from unmask.store import connect


def upgrade(version: str) -> str:
    """Register the networks of a version once more, with their ONNX files, as the challenger.

    Args:
        version: number of the version, which stays as it is.

    Returns:
        The new version's number.

    Raises:
        RegistryError: when there is no such version, or it needs no upgrade.
    """
    before = find_version(connect(), version)
    networks, _ = networks_of(f"models:/{NAME}/{version}")
    if all((networks / name / ONNX).is_file() for name in NETWORKS):
        raise RegistryError(f"{NAME} version {version} needs no upgrade.")
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "networks"
        shutil.copytree(networks, copy)
        for name in NETWORKS:
            add_export(copy / name)
        number = register(copy, lambda: f"Version {version}, upgraded.\n\n{before.description}")
    if (reference := reference_of(before)) is not None:
        attach_reference(number, reference)
    return number
