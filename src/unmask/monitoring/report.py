"""The report of a drift check: a table, densities of the drifted features, and an MLflow run."""

from math import isfinite

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unmask.config.params import SHARES
from unmask.monitoring.drift import DRIFT, Finding
from unmask.tracking import stage_run

_MOST_DENSITIES = 8
_COLUMNS = 4
_BINS = 24


def ordered(findings: list[Finding]) -> list[Finding]:
    """Drifted features first, then by decreasing effect; untested ones last."""
    return sorted(findings, key=lambda f: (f.verdict != DRIFT, not isfinite(f.p), -f.effect))


def _figure(value: float) -> str:
    return f"{value:.3g}" if isfinite(value) else ""


def table_of(findings: list[Finding]) -> str:
    """The findings as a Markdown table."""
    lines = ["| feature | verdict | before | now | effect | corrected p | faces before | now |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    lines += [
        f"| {f.feature} | {f.verdict} | {_figure(f.reference_mean)} | "
        f"{_figure(f.sample_mean)} | {_figure(f.effect)} | {_figure(f.p)} | {f.reference_count} | "
        f"{f.sample_count} |"
        for f in ordered(findings)
    ]
    return "\n".join(lines)


def densities_of(findings: list[Finding]) -> np.ndarray:
    """Histograms of the drifted features, or else of those that differ most.

    Returns:
        One picture, (H, W, 3) uint8 RGB.
    """
    tested = [f for f in ordered(findings) if isfinite(f.p)]
    chosen = [f for f in tested if f.verdict == DRIFT][:_MOST_DENSITIES] or tested[:_COLUMNS]
    rows = -(-len(chosen) // _COLUMNS)
    figure = Figure(figsize=(3.2 * _COLUMNS, 2.4 * rows + 0.4), dpi=100, layout="constrained")
    figure.suptitle(
        "reference (grey) and what was seen since it was last judged (red)", fontsize=10
    )
    for number, finding in enumerate(chosen, 1):
        axes = figure.add_subplot(rows, _COLUMNS, number)
        both = np.concatenate(finding.values)
        bins: int | list[float] = 2
        if finding.feature not in SHARES:
            bins = np.linspace(both.min(), both.max(), _BINS).tolist()
        for values, colour in zip(finding.values, ("0.5", "tab:red"), strict=True):
            axes.hist(values, bins, density=True, histtype="stepfilled", alpha=0.5, color=colour)
        axes.set_title(
            f"{finding.feature}: {finding.verdict}, effect {finding.effect:.2f}", fontsize=9
        )
        axes.set_yticks([])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def log_report(
    text: str, densities: np.ndarray, findings: list[Finding], tags: dict[str, str]
) -> str:
    """Log a report as a run in MLflow.

    Args:
        text: the report in Markdown.
        densities: (H, W, 3) uint8 RGB.
        findings: whose effects and p are logged as metrics.
        tags: of the run.

    Returns:
        The run's id.
    """
    with stage_run("monitor", tags) as run:
        run.text(text, "drift.md")
        run.picture(densities, "densities.png")
        tested = [f for f in findings if isfinite(f.p)]
        run.metrics(
            {f"effect.{f.feature}": f.effect for f in tested}
            | {f"p.{f.feature}": f.p for f in tested}
            | {"drifted": sum(f.verdict == DRIFT for f in findings)}
        )
        return run.id
