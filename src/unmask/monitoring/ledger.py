"""The record of earlier drift checks, in .unmask/monitor.json."""

import json
from dataclasses import dataclass
from pathlib import Path

from unmask.errors import UnmaskError
from unmask.project import write_whole

_LEDGER = Path(".unmask/monitor.json")


@dataclass(frozen=True)
class Ledger:
    """The record of earlier checks; its fields are the keys of .unmask/monitor.json.

    Attributes:
        judged: md5 of each batch that was checked, by file name; a batch that was replaced since
            is checked again.
        model: the champion of these checks, by its `Chain.md5`.
        announced: kinds of drift (first words of features) whose event was sent for that champion.
        waiting: by feature that had too few values so far, the checked batches that hold some.
    """

    judged: dict[str, str]
    model: str
    announced: tuple[str, ...]
    waiting: dict[str, list[str]]

    @classmethod
    def read(cls, root: Path) -> "Ledger":
        """The project's ledger, empty before the first check.

        Raises:
            UnmaskError: when it is damaged.
        """
        path = root / _LEDGER
        if not path.is_file():
            return cls({}, "", (), {})
        try:
            tree = {"waiting": {}, **json.loads(path.read_text())}
            announced = tree["announced" if "announced" in tree else "told"]  # version 0.1's name
            waiting = dict(tree["waiting"])
            return cls(dict(tree["judged"]), tree["model"], tuple(announced), waiting)
        except (ValueError, KeyError, TypeError) as error:
            raise UnmaskError(
                f"{path} is damaged: delete it, and all batches are judged again."
            ) from error

    @staticmethod
    def checked(root: Path) -> float | None:
        """When batches were judged last, in seconds since 1970; None before the first check."""
        path = root / _LEDGER
        return path.stat().st_mtime if path.is_file() else None

    def write(self, root: Path) -> None:
        """Replace the project's ledger."""
        write_whole(root / _LEDGER, (json.dumps(vars(self), indent=1) + "\n").encode())
