"""Changes of the champion: promotion, rollback, and who made them, when and why."""

import getpass
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from filelock import FileLock
from mlflow import MlflowClient

from unmask.project import project_root
from unmask.registry.origin import COMMIT
from unmask.registry.versions import (
    CHAMPION,
    NAME,
    RegistryError,
    champion,
    find_version,
    kept_versions,
    registered_model,
    version_of,
)
from unmask.tracking import connect

_CHANGE = "unmask.champion."  # begins the key of a change's tag
_WHY = 1000  # characters kept; a tag of a registered model holds 5,000


@dataclass(frozen=True)
class Change:
    """One change of the champion: from and to which version, by whom, when (UTC) and why.

    `kind` is 'promote', 'rollback', or 'refuse' where a person kept the champion `previous`.
    """

    kind: str
    version: str
    previous: str | None
    who: str
    when: str
    why: str


def history() -> list[Change]:
    """Every change of the champion, and every refusal by a person, oldest first."""
    model = registered_model(connect())
    tags = model.tags if model else {}
    return [Change(**json.loads(tags[key])) for key in sorted(tags) if key.startswith(_CHANGE)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in passwd
        return str(os.getuid())


def _alone() -> FileLock:
    """Held while the champion changes, so that what was looked up still holds."""
    return FileLock(project_root() / ".unmask" / "champion.lock")


def _record(
    client: MlflowClient, version: str, why: str, kind: str, who: str | None = None
) -> Change:
    """Do a change and record it, as a tag of its own that no other change overwrites."""
    find_version(client, version)
    now = datetime.now(UTC)
    change = Change(
        kind,
        version,
        version_of(CHAMPION),
        who or _user(),
        now.isoformat(timespec="seconds"),
        why[:_WHY],
    )
    if kind != "refuse":
        client.set_registered_model_alias(NAME, CHAMPION, version)
    entry = json.dumps(asdict(change), ensure_ascii=False)
    client.set_registered_model_tag(NAME, f"{_CHANGE}{now:%Y%m%dT%H%M%S.%f}", entry)
    return change


def make_champion(version: str, why: str) -> Change:
    """Point `champion` at a version and record who did it, when and why.

    Raises:
        RegistryError: when there is no such version.
    """
    client = connect()
    with _alone():
        return _record(client, version, why, "promote")


def commit_of_champion() -> str | None:
    """The commit that the champion comes from, or None where there is no champion."""
    number = champion()
    return find_version(connect(), number).tags.get(COMMIT) if number else None


def refuse(version: str, why: str, who: str | None = None) -> Change:
    """Record that a person kept the champion.

    Args:
        who: by default the user that runs this.

    Raises:
        RegistryError: when there is no such version.
    """
    client = connect()
    with _alone():
        return _record(client, version, why, "refuse", who)


def succeed(champion: str | None, version: str, why: str, who: str | None = None) -> Change:
    """Make a version champion that was judged against `champion`, if that still is the champion.

    Args:
        who: by default the user that runs this.

    Raises:
        RegistryError: when another version became champion meanwhile.
    """
    client = connect()
    with _alone():
        present = version_of(CHAMPION)
        if present == version:  # a try before this moved the alias, and perhaps no more
            last = [change for change in history() if change.kind != "refuse"][-1:]
            if last and last[0].version == version:
                return last[0]
        elif present != champion:
            raise RegistryError(
                f"version {version} was judged against {_named(champion)}, but meanwhile the "
                f"champion became {_named(present)}: run `unmask models promote {version}` again."
            )
        return _record(client, version, why, "promote", who)


def _named(champion: str | None) -> str:
    return f"version {champion}" if champion else "no champion"


def roll_back(why: str) -> Change:
    """Make the version that was champion before the present one champion again.

    Rolling back twice goes back twice. Versions that were deleted are passed over.

    Raises:
        RegistryError: when there was none.
    """
    client = connect()
    with _alone():
        champions: list[str] = []
        for change in history():
            if change.kind == "rollback":
                while champions and champions[-1] != change.version:
                    champions.pop()
            elif change.kind == "promote":
                champions.append(change.version)
        kept = kept_versions(client).keys() - {version_of(CHAMPION)}
        earlier = [version for version in champions if version in kept]
        if not earlier:
            raise RegistryError("there is no earlier champion to roll back to.")
        return _record(client, earlier[-1], why, "rollback")


def rolled_back(version: str) -> Change | None:
    """The rollback that took a version out of service, if that was the last that became of it."""
    changes = [change for change in history() if change.kind != "refuse"]
    concerned = [change for change in changes if version in (change.version, change.previous)]
    last = concerned[-1] if concerned else None
    return last if last and last.kind == "rollback" and last.previous == version else None
