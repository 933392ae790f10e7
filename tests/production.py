"""Summaries as production writes them, drawn from a reference instead of restored."""

from collections.abc import Callable

import numpy as np

from unmask.monitoring.reference import Reference
from unmask.monitoring.summaries import Row


def seen_like(
    reference: Reference, seed: int, count: int, change: Callable[[Row], Row] = lambda row: row
) -> list[Row]:
    """`count` rows of the reference, drawn with replacement, each with an embedding again."""
    columns = [f"embedding_{index + 1}" for index in range(len(reference.components))]
    drawn = np.random.default_rng(seed).integers(len(reference.table), size=count)
    rows = []
    for row in reference.table.iloc[drawn].to_dict("records"):
        scores = np.array([row.pop(column) for column in columns], np.float32)
        known = np.isfinite(scores).all() and len(scores) > 0
        embedding = (reference.mean + scores @ reference.components).tolist() if known else []
        rows.append(change({**row, "embedding": embedding}))
    return rows


def darker(row: Row) -> Row:
    """A row of a much darker picture."""
    return {**row, "brightness": 0.5 * row["brightness"]}
