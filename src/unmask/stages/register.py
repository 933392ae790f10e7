"""Stage `register`: the four networks as one version of the registered model."""

import json

from unmask.errors import exit_with_message
from unmask.networks import packed_md5
from unmask.project import in_project
from unmask.registry.sync import sync
from unmask.registry.versions import NAME


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    version = sync()
    record = {"name": NAME, "version": version, "packed_md5": packed_md5(in_project("models"))}
    in_project("reports/registered.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"registered: {NAME} version {version} is the challenger", flush=True)


if __name__ == "__main__":
    main()
