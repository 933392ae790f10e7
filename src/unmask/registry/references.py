"""The drift reference of a version, logged as an artifact of the version's run."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from unmask.networks import RELEASED, packed_md5
from unmask.project import md5_of
from unmask.registry.champions import champion
from unmask.registry.versions import NAME, RegistryError, find_version
from unmask.store import connect

REFERENCE = "unmask.reference"
RELEASED_REFERENCE = RELEASED / "reference.parquet"


def attach_reference(version: str, table: Path) -> None:
    """Log a drift reference with a version; the one that it has already is not logged again.

    Args:
        version: the version's number.
        table: the reference's Parquet file.

    Raises:
        RegistryError: when the file is missing.
    """
    if not table.is_file():
        raise RegistryError(f"{table} is missing: run `dvc repro reference` first.")
    client = connect()
    found = find_version(client, version)
    name = f"reference/{md5_of([table])}.parquet"
    if found.tags.get(REFERENCE) == name:
        return
    with TemporaryDirectory() as folder:
        copy = shutil.copy(table, Path(folder) / Path(name).name)
        client.log_artifact(found.run_id, str(copy), "reference")
    client.set_model_version_tag(NAME, version, REFERENCE, name)


def reference_of(version: ModelVersion) -> Path | None:
    """The Parquet file of a version's reference; None where it has none.

    Raises:
        RegistryError: when it cannot be loaded.
    """
    if REFERENCE not in version.tags:
        return None
    try:
        return Path(
            mlflow.artifacts.download_artifacts(
                run_id=version.run_id, artifact_path=version.tags[REFERENCE]
            )
        )
    except MlflowException as error:
        raise RegistryError(
            f"the reference of {NAME} version {version.version} cannot be loaded "
            f"({str(error).splitlines()[0]}): run `unmask models sync` where it was trained."
        ) from error


def reference_of_champion() -> tuple[Path, str]:
    """The champion's reference, or, where there is no champion, that of the released weights.

    Returns:
        (its Parquet file, name and version of its model, e.g. 'unmask/3').

    Raises:
        RegistryError: when the champion has none, or is gone.
        RegistryUnavailableError: when the store does not answer.
    """
    number = champion()
    if number is None:
        return RELEASED_REFERENCE, f"{NAME}/release-{packed_md5(RELEASED)[:8]}"
    file = reference_of(find_version(connect(), number))
    if file is None:
        raise RegistryError(
            f"{NAME} version {number}, the champion, has no reference to measure drift from: run "
            "`dvc repro` and `unmask models sync` where it was trained."
        )
    return file, f"{NAME}/{number}"
