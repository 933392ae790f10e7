"""A version made champion for a test, whatever the gate would say of it."""

from unmask.registry.champions import ChampionChange, replace_champion
from unmask.registry.versions import CHAMPION, version_of


def make_champion(version: str, why: str) -> ChampionChange:
    """Point `champion` at a version and record it as a promotion."""
    return replace_champion(version_of(CHAMPION), version, why)
