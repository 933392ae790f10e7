"""The project's trained networks as a version of the registered model."""

from functools import partial

from unmask.config.params import load_params
from unmask.project import in_project
from unmask.registry.card import model_card
from unmask.registry.references import attach_reference
from unmask.registry.release import champion_or_first
from unmask.registry.versions import register


def sync() -> str:
    """Register the project's networks and drift reference where the store lacks them.

    A new registry's first version and champion is the release, where params say so.

    Returns:
        The version's number.
    """
    models, reports = in_project("models"), in_project("reports")
    champion_or_first(load_params().gate)
    version = register(models, partial(model_card, models, reports))
    attach_reference(version, reports / "reference.parquet")
    return version
