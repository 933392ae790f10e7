"""The project's trained networks as a version of the registered model."""

from functools import partial
from pathlib import Path

from unmask.registry.card import model_card
from unmask.registry.references import attach_reference
from unmask.registry.versions import register

MODELS, REPORTS = Path("models"), Path("reports")


def sync() -> str:
    """Register the project's networks and drift reference where the store lacks them.

    Returns:
        The version's number.
    """
    version = register(MODELS, partial(model_card, MODELS, REPORTS))
    attach_reference(version, REPORTS / "reference.parquet")
    return version
