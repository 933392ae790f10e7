"""Drift: does a sample of faces differ from the reference? A pure function of both and params."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, fisher_exact, ks_2samp

from unmask.config.params import NUMBERS, SHARES, Drift
from unmask.monitoring.summaries import RESTORED, SKIPPED

DRIFT, STABLE, TOO_FEW = "drift", "no drift", "too few"


@dataclass(frozen=True)
class Finding:
    """One feature, compared.

    Attributes:
        feature: its column, or 'masked', the share of faces with a mask among those not skipped,
            or 'skipped', the share of faces that were.
        values: those of the reference and of the sample, two (N,) float.
        effect: largest distance of the two distribution functions, in [0, 1]; the difference of
            two shares. NaN where too few.
        p: of the Kolmogorov-Smirnov or Fisher's exact test, corrected (Benjamini and Hochberg) for
            all features tested. NaN where too few.
        verdict: 'drift', 'no drift' or 'too few'.
    """

    feature: str
    values: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)
    effect: float
    p: float
    verdict: str

    @property
    def known(self) -> int:
        """How many values the reference has."""
        return len(self.values[0])

    @property
    def seen(self) -> int:
        """How many values the sample has."""
        return len(self.values[1])

    @property
    def before(self) -> float:
        """The reference's mean."""
        return _mean(self.values[0])

    @property
    def now(self) -> float:
        """The sample's mean."""
        return _mean(self.values[1])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def values_of(rows: pd.DataFrame, feature: str) -> np.ndarray:
    """The finite values of a feature, (N,) float; of a share 0 and 1."""
    if feature == "skipped":
        return (rows["status"] == SKIPPED).to_numpy(float)
    if feature == "masked":
        return (rows["status"][rows["status"] != SKIPPED] == RESTORED).to_numpy(float)
    values = rows[feature].to_numpy(float)
    return values[np.isfinite(values)]


def features_of(reference: pd.DataFrame) -> tuple[str, ...]:
    """What is compared: the shares, and every number that the reference holds."""
    numbers = [c for c in reference if c in NUMBERS or c.startswith("embedding_")]
    return (*SHARES, *numbers)


def _tested(feature: str, known: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """(effect, p) of two samples."""
    if feature in SHARES:
        table = [[values.sum(), (1 - values).sum()] for values in (known, seen)]
        effect = abs(float(known.mean() - seen.mean()))
        return effect, float(fisher_exact(np.array(table, int)).pvalue)
    answer = ks_2samp(known, seen)
    return float(answer.statistic), float(answer.pvalue)


def compare(
    reference: pd.DataFrame,
    sample: pd.DataFrame,
    params: Drift,
    earlier: Mapping[str, pd.DataFrame] | None = None,
) -> list[Finding]:
    """Compare every feature of a sample with the reference's.

    Drift is confirmed where the corrected p is below `alpha` and the effect at least `effect`.
    Where either side has fewer than `minimum` values the answer is 'too few'.

    Args:
        reference, sample: rows of summaries, the embedding as columns embedding_1 and so on.
        earlier: features to more rows of the sample, which count for that feature alone.
    """
    earlier = earlier or {}

    def seen_of(name: str) -> np.ndarray:
        parts = [sample, earlier[name]] if name in earlier else [sample]
        return np.concatenate([values_of(rows, name) for rows in parts])

    pairs = {name: (values_of(reference, name), seen_of(name)) for name in features_of(reference)}
    tested = {
        name: _tested(name, *pair)
        for name, pair in pairs.items()
        if min(map(len, pair)) >= params.minimum
    }
    corrected = dict(
        zip(tested, false_discovery_control([p for _, p in tested.values()]), strict=True)
        if tested
        else ()
    )
    findings = []
    for name, pair in pairs.items():
        effect, p, verdict = np.nan, np.nan, TOO_FEW
        if name in tested:
            effect, p = tested[name][0], float(corrected[name])
            verdict = DRIFT if p < params.alpha and effect >= params.effect else STABLE
        findings.append(Finding(name, pair, effect, p, verdict))
    return findings
