"""One check: the batches that were not judged yet against the champion's reference."""

import json
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import JsonValue

from unmask.config.params import Params
from unmask.errors import UnmaskError
from unmask.monitoring.batches import BATCHES, batches_in, read_batches
from unmask.monitoring.drift import DRIFT, STABLE, TOO_FEW, Finding, compare, values_of
from unmask.monitoring.reference import Reference
from unmask.monitoring.report import densities_of, log_report, table_of
from unmask.project import write_whole
from unmask.registry.references import reference_of_champion

_LEDGER = Path(".unmask/monitor.json")


class LedgerError(UnmaskError):
    """A record of earlier checks that cannot be read; the message names its file."""


@dataclass(frozen=True)
class Ledger:
    """What earlier checks left: the batches judged, and the drift announced of this champion.

    Attributes:
        judged: file name of a batch to its md5; a batch replaced by another is judged again.
        model: the champion's, see `summaries.model_of`.
        announced: kinds of drift, the first words of features, that an event was sent of.
        waiting: features that had too few values so far to the judged batches that hold some.
    """

    judged: dict[str, str]
    model: str
    announced: tuple[str, ...]
    waiting: dict[str, list[str]]

    @classmethod
    def read(cls, root: Path) -> "Ledger":
        """The project's ledger, empty before the first check.

        Raises:
            LedgerError: when it is damaged.
        """
        path = root / _LEDGER
        if not path.is_file():
            return cls({}, "", (), {})
        try:
            tree = {"waiting": {}, **json.loads(path.read_text())}
            announced = tree.get("announced", tree.get("told"))  # as version 0.1 called it
            waiting = dict(tree["waiting"])
            return cls(dict(tree["judged"]), tree["model"], tuple(announced), waiting)
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(
                f"{path} is damaged: delete it, and all batches are judged again."
            ) from error

    def write(self, root: Path) -> None:
        """Replace the project's ledger."""
        write_whole(root / _LEDGER, (json.dumps(vars(self), indent=1) + "\n").encode())


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        id: of this model, these batches and what drifted in them.
        verdict: 'drift', 'no drift', or 'too few', after which the batches wait for more.
        features: what drifted.
        news: whether it holds a kind of drift that no event was sent of since the champion came.
        changes: what a retraining changes, dotted params to values; the seed always.
        report: Markdown.
        densities: (H, W, 3) uint8, none where too few.
        ledger: to be written when the event was sent.
    """

    id: str
    verdict: str
    features: tuple[str, ...]
    news: bool
    changes: dict[str, JsonValue]
    report: str
    densities: np.ndarray | None
    ledger: Ledger


def _kinds(features: tuple[str, ...]) -> set[str]:
    return {feature.partition("_")[0] for feature in features}


def _text(
    name: str,
    batches: int,
    others: int,
    verdict: str,
    findings: list[Finding],
    changes: dict[str, JsonValue],
) -> str:
    lines = [f"# Drift since the training of {name}: {verdict}", ""]
    lines += [f"Batches since the last check: {batches}."]
    if others:
        lines += [f"Faces that another model restored, which are left out: {others}."]
    if verdict == DRIFT:
        lines += ["", f"A retraining would change `{json.dumps(changes)}`."]
    return "\n".join([*lines, "", table_of(findings), ""])


def check(params: Params, root: Path) -> Check | None:
    """Compare what came since the last check with the champion's reference, and report to MLflow.

    Nothing is remembered until the check's ledger is written. Where no feature has `drift.minimum`
    faces, nothing is reported, and the batches wait for the next check; where only some have, the
    others wait, so that what few faces show is judged once there are enough of them.

    Args:
        root: the project's folder.

    Returns:
        None when no batch came.

    Raises:
        RegistryError: when the champion has no reference.
        UnreadableReferenceError: when it is damaged.
        BatchError: naming a batch that cannot be read.
    """
    ledger, present = Ledger.read(root), batches_in(root / BATCHES)
    fresh = [name for name in present if ledger.judged.get(name) != present[name]]
    if not fresh:
        return None
    file, name = reference_of_champion()
    reference = Reference.load(file)
    if ledger.model != reference.model:
        ledger = Ledger(ledger.judged, reference.model, (), {})
    earlier = {
        feature: [batch for batch in batches if batch in present and batch not in fresh]
        for feature, batches in ledger.waiting.items()
    }
    rows = {b: read_batches(root / BATCHES, [b]) for b in {*fresh, *chain(*earlier.values())}}
    ours = {b: reference.projected(r[r["model"] == reference.model]) for b, r in rows.items()}
    findings = compare(
        reference.table,
        pd.concat([ours[batch] for batch in fresh]),
        params.drift,
        {f: pd.concat([ours[batch] for batch in some]) for f, some in earlier.items() if some},
    )
    features = tuple(f.feature for f in findings if f.verdict == DRIFT)
    enough = any(f.verdict != TOO_FEW for f in findings)
    verdict = DRIFT if features else STABLE if enough else TOO_FEW
    seen = [reference.model, *features, *(present[batch] for batch in fresh)]
    identity = sha256(" ".join(seen).encode()).hexdigest()[:12]
    changes = {"seed": int(identity, 16) % 2**31, **params.drift.changes_for(features)}
    others = sum(len(rows[batch]) - len(ours[batch]) for batch in fresh)
    text = _text(name, len(fresh), others, verdict, findings, changes)
    if not enough:
        return Check(identity, verdict, (), False, {}, text, None, ledger)
    waiting = {
        f.feature: [
            batch
            for batch in (*earlier.get(f.feature, ()), *fresh)
            if len(values_of(ours[batch], f.feature))
        ]
        for f in findings
        if f.verdict == TOO_FEW and f.known >= params.drift.minimum
    }
    densities = densities_of(findings)
    log_report(
        text,
        densities,
        findings,
        {"unmask.drift": identity, "unmask.verdict": verdict, "unmask.model": name},
    )
    return Check(
        id=identity,
        verdict=verdict,
        features=features,
        news=not _kinds(features) <= set(ledger.announced),
        changes=changes,
        report=text,
        densities=densities,
        ledger=Ledger(
            present,
            reference.model,
            tuple(sorted({*ledger.announced, *_kinds(features)})),
            waiting,
        ),
    )
