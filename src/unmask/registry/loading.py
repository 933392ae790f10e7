"""The networks to restore with: the champion's, the released weights' or another model's by URI."""

from pathlib import Path

from unmask.errors import UnmaskError
from unmask.networks import RELEASED, packed_md5
from unmask.project import has_store

CHAMPION_URI = "models:/unmask@champion"
RELEASE = "release"


def _has_champion() -> bool:
    if not has_store():
        return False
    from unmask.registry.champions import champion  # mlflow takes seconds to import

    try:
        return champion() is not None
    except UnmaskError as error:
        error.args = (f"{str(error).rstrip('.')}; or restore with --model {RELEASE}.",)
        raise


def find_networks(uri: str | None = None) -> tuple[Path, str]:
    """The stored networks of a model.

    Args:
        uri: models:/unmask@champion, models:/unmask/3, 'release' for the weights that come with the
            package, or a folder of stored networks; None takes the champion where there is one,
            else the release.

    Returns:
        (their folder, the model's name and version, e.g. 'unmask/3').

    Raises:
        UnmaskError: when it names no model, the store cannot be read, or the champion is gone.
    """
    has_champion = uri in (None, CHAMPION_URI) and _has_champion()
    if uri is None:
        uri = CHAMPION_URI if has_champion else RELEASE
    if uri == RELEASE:
        return RELEASED, f"unmask/release-{packed_md5(RELEASED)[:8]}"
    if not uri.startswith("models:/"):
        if not Path(uri).is_dir():
            raise UnmaskError(
                f"there is no model '{uri}': use {_models()}, or a folder of networks."
            )
        return Path(uri), uri
    from unmask.registry.versions import networks_of

    return networks_of(uri)


def _models() -> str:
    """The models that there are, in words."""
    if not has_store():
        return RELEASE
    from unmask.registry.versions import CHAMPION, NAME, list_versions

    versions = list_versions()
    champion = [CHAMPION_URI for version in versions if CHAMPION in version.aliases]
    numbered = [f"models:/{NAME}/{version.number}" for version in reversed(versions)]
    return ", ".join([RELEASE, *champion, *numbered])
