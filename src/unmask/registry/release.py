"""The package's weights in the registry."""

from unmask.config.params import Gate
from unmask.networks import CARD, RELEASED, packed_md5
from unmask.registry.champions import champion, replace_champion
from unmask.registry.references import RELEASED_REFERENCE, attach_reference
from unmask.registry.versions import CHALLENGER, NAME, list_versions, register, version_of
from unmask.store import connect


def import_release() -> str:
    """Register the released weights as a version, the challenger; returns its number."""
    version = register(RELEASED, (RELEASED / CARD).read_text)
    attach_reference(version, RELEASED_REFERENCE)
    return version


def released_version() -> str:
    """Number of the released weights' version, which is registered if the store lacks it.

    The challenger stays as it was, if there is one.
    """
    packed = packed_md5(RELEASED)
    for version in list_versions():
        if version.packed_md5 == packed:
            return version.number
    challenger = version_of(CHALLENGER)
    number = import_release()
    if challenger is not None:
        connect().set_registered_model_alias(NAME, CHALLENGER, challenger)
    return number


def champion_or_first(gate: Gate) -> str | None:
    """Number of the champion; a registry that has had none gets its first, where params say so.

    Raises:
        ChampionGoneError: when there was one, which was deleted.
    """
    number = champion()
    if number is None and gate.first_champion == "release":
        number = released_version()
        replace_champion(None, number, "the first of this registry: the weights of the package")
    return number
