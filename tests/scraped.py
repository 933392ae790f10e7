"""What Prometheus' own parser reads of an answer of /metrics."""

from prometheus_client.parser import text_string_to_metric_families


def figures(text: str) -> dict[tuple, float]:
    """Each value by its name and its labels' values."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return {(one.name, *one.labels.values()): one.value for one in samples}
