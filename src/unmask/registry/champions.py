"""Changes of the champion: promotion and rollback, with who made each, when and why."""

import getpass
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from filelock import FileLock
from mlflow import MlflowClient

from unmask.project import has_store, state_path
from unmask.registry.origin import COMMIT
from unmask.registry.versions import (
    CHAMPION,
    NAME,
    RegistryError,
    find_version,
    kept_versions,
    registered_model,
    version_of,
)
from unmask.store import connect

_TAG_PREFIX = "unmask.champion."  # of the tags that record changes
_LONGEST_WHY = 1000  # characters; a tag of a registered model holds 5,000


@dataclass(frozen=True)
class ChampionChange:
    """One entry of the champion's history; its fields are the keys of its JSON tag.

    Attributes:
        kind: 'promote'; 'rollback'; or 'refuse', where a person kept the champion.
        version: number of the version that became champion, or that was refused.
        previous: number of the champion before; None where there was none.
        who: name of the user or person who decided.
        when: UTC, ISO 8601 to the second.
        why: the reason that was given.
    """

    kind: str
    version: str
    previous: str | None
    who: str
    when: str
    why: str


def history() -> list[ChampionChange]:
    """Every change of the champion, and every refusal by a person, oldest first."""
    model = registered_model(connect()) if has_store() else None
    tags = model.tags if model else {}
    keys = sorted(key for key in tags if key.startswith(_TAG_PREFIX))
    return [ChampionChange(**json.loads(tags[key])) for key in keys]


class ChampionGoneError(RegistryError):
    """The history has a champion, and the registry has none."""


def champion() -> str | None:
    """Number of the champion; None where there has never been one.

    Raises:
        ChampionGoneError: when there was one, whose version or alias was deleted.
    """
    number = version_of(CHAMPION)
    if number is None and (changes := [one for one in history() if one.kind != "refuse"]):
        gone = changes[-1].version
        what = "alias" if gone in kept_versions(connect()) else "version"
        raise ChampionGoneError(
            f"the champion, version {gone}, is gone: its {what} was deleted. Run `unmask models "
            "rollback`, which makes the last one that is left champion again, or name one by --to."
        )
    return number


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return str(os.getuid())


def champion_lock() -> FileLock:
    """Lock that is held from reading the champion until it has changed."""
    return FileLock(state_path("champion.lock"))


def _record(
    client: MlflowClient, version: str, why: str, kind: str, who: str | None = None
) -> ChampionChange:
    """Make a change and record it in a tag of its own, which no other change overwrites."""
    find_version(client, version)
    now = datetime.now(UTC)
    change = ChampionChange(
        kind,
        version,
        version_of(CHAMPION),
        who or _user(),
        now.isoformat(timespec="seconds"),
        why[:_LONGEST_WHY],
    )
    if kind != "refuse":
        client.set_registered_model_alias(NAME, CHAMPION, version)
    entry = json.dumps(asdict(change), ensure_ascii=False)
    client.set_registered_model_tag(NAME, f"{_TAG_PREFIX}{now:%Y%m%dT%H%M%S.%f}", entry)
    return change


def commit_of_champion() -> str | None:
    """The git commit that the champion was made from, or None where there has been no champion.

    Raises:
        ChampionGoneError: when it was deleted.
    """
    number = champion()
    return find_version(connect(), number).tags.get(COMMIT) if number else None


def record_refusal(version: str, why: str, who: str | None = None) -> ChampionChange:
    """Record that a person refused a version that passed the gate; the champion stays.

    Args:
        version: number of the refused version.
        why: the person's reason; cut to 1,000 characters.
        who: the person; None takes the user that runs this process.

    Raises:
        RegistryError: when there is no such version.
    """
    client = connect()
    with champion_lock():
        return _record(client, version, why, "refuse", who)


def replace_champion(
    judged_against: str | None, version: str, why: str, who: str | None = None
) -> ChampionChange:
    """Promote a version, if the champion still is the one that it was judged against.

    Repeating a call that succeeded changes nothing more.

    Args:
        judged_against: number of the champion that the gate compared with; None where there was
            none.
        version: number of the version to promote.
        why: the reason; cut to 1,000 characters.
        who: the person who decided; None takes the user that runs this process.

    Raises:
        RegistryError: when another version became champion meanwhile, or the champion is gone.
    """
    client = connect()
    with champion_lock():
        present = champion()
        if present == version:  # an earlier attempt moved the alias, but may not have recorded it
            last = [change for change in history() if change.kind != "refuse"][-1:]
            if last and last[0].version == version:
                return last[0]
        elif present != judged_against:
            raise RegistryError(
                f"version {version} was judged against {_described(judged_against)}, but meanwhile "
                f"the champion became {_described(present)}: run `unmask models promote {version}` "
                "again."
            )
        return _record(client, version, why, "promote", who)


def _described(version: str | None) -> str:
    return f"version {version}" if version else "no champion"


def roll_back(why: str, to: str | None = None) -> ChampionChange:
    """Make the version that was champion before the present one champion again.

    Each further rollback goes one champion further back. Deleted versions are skipped; where the
    champion itself is gone, the last one that is left follows it.

    Args:
        why: the reason; cut to 1,000 characters.
        to: number of the version to make champion in its place, which need not have been one.

    Raises:
        RegistryError: when there is no earlier champion, or no such version.
    """
    client = connect()
    with champion_lock():
        if to is not None:
            if to == version_of(CHAMPION):
                raise RegistryError(f"version {to} is the champion already.")
            return _record(client, to, why, "rollback")
        champions: list[str] = []
        for change in history():
            if change.kind == "rollback":
                if change.version not in champions:  # it was named
                    champions[-1:] = [change.version]
                while champions[-1] != change.version:
                    champions.pop()
            elif change.kind == "promote":
                champions.append(change.version)
        kept = kept_versions(client).keys() - {version_of(CHAMPION)}
        earlier = [version for version in champions if version in kept]
        if not earlier:
            raise RegistryError(
                "there is no earlier champion to roll back to: name a version by --to, as `unmask "
                "models list` numbers them."
            )
        return _record(client, earlier[-1], why, "rollback")


def rollback_of(version: str) -> ChampionChange | None:
    """The rollback that demoted a version, or None where it was promoted since or never demoted."""
    changes = [change for change in history() if change.kind != "refuse"]
    concerned = [change for change in changes if version in (change.version, change.previous)]
    last = concerned[-1] if concerned else None
    return last if last and last.kind == "rollback" and last.previous == version else None
