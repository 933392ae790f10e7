"""Stage `register`: the four networks as one version of the registered model."""

import json
from pathlib import Path

from unmask.errors import plainly
from unmask.registry.versions import NAME, packed_md5, register
from unmask.training.tracking import stage_run

_RECORD = Path("reports/registered.json")


def sync() -> str:
    """Register the present networks where the store lacks them, and point `challenger` at them.

    Returns:
        The version's number.
    """
    models = Path("models")
    with stage_run("register", {"unmask.packed_md5": packed_md5(models)}) as run:
        return register(run, models, Path("reports/metrics.json"))


@plainly
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    version = sync()
    record = {"name": NAME, "version": version, "packed_md5": packed_md5(Path("models"))}
    _RECORD.parent.mkdir(exist_ok=True)
    _RECORD.write_text(json.dumps(record, indent=1) + "\n")
    print(f"registered: {NAME} version {version} is the challenger", flush=True)


if __name__ == "__main__":
    main()
