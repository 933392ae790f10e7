"""Drift tests of a sample of faces against a reference: a pure function of both and params."""

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
    """The test of one feature.

    Attributes:
        feature: a column of the summaries; 'masked', the share of faces with a mask among those
            not skipped; or 'skipped', the share of faces that were.
        values: of the reference (N,) and of the sample (M,), float.
        effect: the largest distance of the two distribution functions, or the difference of two
            shares, in [0, 1]; NaN where there were too few values.
        p: of the Kolmogorov-Smirnov or Fisher's exact test, corrected (Benjamini and Hochberg) for
            all features tested; NaN where there were too few values.
        verdict: 'drift', 'no drift' or 'too few'.
    """

    feature: str
    values: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)
    effect: float
    p: float
    verdict: str

    @property
    def reference_count(self) -> int:
        """Number of the reference's values."""
        return len(self.values[0])

    @property
    def sample_count(self) -> int:
        """Number of the sample's values."""
        return len(self.values[1])

    @property
    def reference_mean(self) -> float:
        """Mean of the reference's values; NaN where it has none."""
        return _mean(self.values[0])

    @property
    def sample_mean(self) -> float:
        """Mean of the sample's values; NaN where it has none."""
        return _mean(self.values[1])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan


def values_of(rows: pd.DataFrame, feature: str) -> np.ndarray:
    """The finite values (N,) float of a feature of rows; of a share, 0 or 1 per face."""
    if feature == "skipped":
        return (rows["status"] == SKIPPED).to_numpy(float)
    if feature == "masked":
        return (rows["status"][rows["status"] != SKIPPED] == RESTORED).to_numpy(float)
    values = rows[feature].to_numpy(float)
    return values[np.isfinite(values)]


def features_of(reference: pd.DataFrame) -> tuple[str, ...]:
    """The features that are tested: the shares, and every number that the reference holds."""
    columns = map(str, reference.columns)
    return (*SHARES, *(c for c in columns if c in NUMBERS or c.startswith("embedding_")))


def _test(feature: str, reference: np.ndarray, sample: np.ndarray) -> tuple[float, float]:
    """(effect, uncorrected p) of a feature's values."""
    if feature in SHARES:
        table = [[values.sum(), (1 - values).sum()] for values in (reference, sample)]
        effect = abs(float(reference.mean() - sample.mean()))
        return effect, float(fisher_exact(np.array(table, int)).pvalue)
    answer = ks_2samp(reference, sample)
    return float(answer.statistic), float(answer.pvalue)


def compare(
    reference: pd.DataFrame,
    sample: pd.DataFrame,
    params: Drift,
    earlier: Mapping[str, pd.DataFrame] | None = None,
) -> list[Finding]:
    """Test every feature of a sample against the reference.

    A feature has drifted where the corrected p is below `params.alpha` and the effect at least
    `params.effect`. It is not tested where either side has fewer than `params.minimum` values.

    Args:
        reference: summaries of the reference, the embedding as columns embedding_1, embedding_2 ...
        sample: summaries with the same columns.
        params: section `drift` of params.yaml.
        earlier: more rows of the sample by feature, which count for that feature only.

    Returns:
        One finding per feature.
    """
    earlier = earlier or {}

    def sample_of(name: str) -> np.ndarray:
        parts = [sample, earlier[name]] if name in earlier else [sample]
        return np.concatenate([values_of(rows, name) for rows in parts])

    pairs = {name: (values_of(reference, name), sample_of(name)) for name in features_of(reference)}
    tested = {
        name: _test(name, *pair)
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
