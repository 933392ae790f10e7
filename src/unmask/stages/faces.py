"""Stage `faces`: read every source, frame its faces, write them by split."""

from unmask.config.params import load_params
from unmask.datasets.record import record
from unmask.errors import exit_with_message
from unmask.faces.dataset import make
from unmask.project import in_project
from unmask.tracking import stage_run


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    params, data = load_params(), in_project("data")
    with stage_run("faces", {}) as run:
        run.params({"seed": params.seed, **params.faces.model_dump(mode="json")})
        failures = make(params, data)
        record(run, data / "faces", failures)


if __name__ == "__main__":
    main()
