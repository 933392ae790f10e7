"""A drift check: batches since the last check against the champion's reference."""

import json
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import JsonValue

from unmask.config.params import Params
from unmask.monitoring.batches import BATCHES, batches_in, read_batches
from unmask.monitoring.drift import DRIFT, STABLE, TOO_FEW, Finding, compare, values_of
from unmask.monitoring.ledger import Ledger
from unmask.monitoring.reference import Reference
from unmask.monitoring.report import densities_of, log_report, table_of
from unmask.registry.references import reference_of_champion


@dataclass(frozen=True)
class DriftCheck:
    """The result of a check.

    Attributes:
        id: 12 hexadecimal digits, the same for the same model, batches and drifted features.
        verdict: 'drift'; 'no drift'; or 'too few', after which the batches wait for more faces.
        features: those that drifted.
        is_new: whether a kind of drift is among them whose event was not sent for this champion.
        changes: what a retraining would change, values by dotted params; always the seed.
        report: in Markdown.
        densities: (H, W, 3) uint8 RGB; None where there were too few faces.
        ledger: to write once the event was sent.
    """

    id: str
    verdict: str
    features: tuple[str, ...]
    is_new: bool
    changes: dict[str, JsonValue]
    report: str
    densities: np.ndarray | None
    ledger: Ledger


def _kinds(features: tuple[str, ...]) -> set[str]:
    return {feature.partition("_")[0] for feature in features}


def _report_text(
    name: str,
    batches: int,
    others: int,
    verdict: str,
    findings: list[Finding],
    changes: dict[str, JsonValue],
) -> str:
    """The report on `batches` batches for the model `name`, `others` faces of which it ignores."""
    lines = [f"# Drift since the training of {name}: {verdict}", ""]
    lines += [f"Batches since the last check: {batches}."]
    if others:
        lines += [f"Faces that another model restored, which are left out: {others}."]
    if verdict == DRIFT:
        lines += ["", f"A retraining would change `{json.dumps(changes)}`."]
    return "\n".join([*lines, "", table_of(findings), ""])


def check_drift(params: Params, root: Path) -> DriftCheck | None:
    """Compare the batches since the last check with the champion's reference; log the report.

    The batches count as checked once the returned ledger is written. Where no feature has
    `drift.minimum` values, nothing is logged and all batches wait for the next check. Where only
    some features have, the others' values wait, and are tested once there are enough of them.

    Args:
        params: the project's.
        root: the project's folder.

    Returns:
        The result, or None when there is no new batch.

    Raises:
        RegistryError: when the champion has no reference.
        UnmaskError: when it is damaged, or naming a batch that cannot be read.
    """
    ledger, present = Ledger.read(root), batches_in(root / BATCHES)
    new = [name for name in present if ledger.judged.get(name) != present[name]]
    if not new:
        return None
    file, name = reference_of_champion()
    reference = Reference.load(file)
    if ledger.model != reference.model:
        ledger = Ledger(ledger.judged, reference.model, (), {})
    earlier = {
        feature: [batch for batch in batches if batch in present and batch not in new]
        for feature, batches in ledger.waiting.items()
    }
    rows = {b: read_batches(root / BATCHES, [b]) for b in {*new, *chain(*earlier.values())}}
    of_model = {b: reference.projected(r[r["model"] == reference.model]) for b, r in rows.items()}
    findings = compare(
        reference.table,
        pd.concat([of_model[batch] for batch in new]),
        params.drift,
        {f: pd.concat([of_model[batch] for batch in some]) for f, some in earlier.items() if some},
    )
    features = tuple(f.feature for f in findings if f.verdict == DRIFT)
    enough = any(f.verdict != TOO_FEW for f in findings)
    verdict = DRIFT if features else STABLE if enough else TOO_FEW
    parts = [reference.model, *features, *(present[batch] for batch in new)]
    identity = sha256(" ".join(parts).encode()).hexdigest()[:12]
    changes = {"seed": int(identity, 16) % 2**31, **params.drift.changes_for(features)}
    others = sum(len(rows[batch]) - len(of_model[batch]) for batch in new)
    text = _report_text(name, len(new), others, verdict, findings, changes)
    if not enough:
        return DriftCheck(identity, verdict, (), False, {}, text, None, ledger)
    waiting = {
        f.feature: [
            batch
            for batch in (*earlier.get(f.feature, ()), *new)
            if len(values_of(of_model[batch], f.feature))
        ]
        for f in findings
        if f.verdict == TOO_FEW and f.reference_count >= params.drift.minimum
    }
    densities = densities_of(findings)
    log_report(
        text,
        densities,
        findings,
        {"unmask.drift": identity, "unmask.verdict": verdict, "unmask.model": name},
    )
    return DriftCheck(
        id=identity,
        verdict=verdict,
        features=features,
        is_new=not _kinds(features) <= set(ledger.announced),
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
