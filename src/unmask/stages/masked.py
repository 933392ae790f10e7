"""Stage `masked`: put masks on every face, with the exact binary mask of each."""

from unmask.config.params import load_params
from unmask.datasets.record import record
from unmask.errors import exit_with_message
from unmask.masking.dataset import make
from unmask.project import in_project
from unmask.tracking import stage_run


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    params, data = load_params(), in_project("data")
    with stage_run("masked", {}) as run:
        run.params({"seed": params.seed, **params.masking.model_dump(mode="json")})
        failures = make(params, data)
        record(run, data / "masked", failures)


if __name__ == "__main__":
    main()
