"""Stage `register`: the four networks as one version of the registered model."""

import json
from functools import partial
from pathlib import Path

from unmask.errors import plainly
from unmask.models.stored import packed_md5
from unmask.registry.card import model_card
from unmask.registry.references import keep_reference
from unmask.registry.versions import NAME, register

_MODELS, _REPORTS = Path("models"), Path("reports")


def sync() -> str:
    """Register the project's networks and reference where the store lacks them; returns the
    version's number."""
    version = register(_MODELS, partial(model_card, _MODELS, _REPORTS))
    keep_reference(version, _REPORTS / "reference.parquet")
    return version


@plainly
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    version = sync()
    record = {"name": NAME, "version": version, "packed_md5": packed_md5(_MODELS)}
    Path("reports/registered.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"registered: {NAME} version {version} is the challenger", flush=True)


if __name__ == "__main__":
    main()
