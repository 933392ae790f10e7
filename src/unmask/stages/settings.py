"""Stage `settings`: keep how the chain restores beside its networks."""

from unmask.config.params import load_params
from unmask.config.restore import save_restore
from unmask.errors import exit_with_message
from unmask.project import in_project
from unmask.tracking import stage_run


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    settings = load_params().restore
    with stage_run("settings", {}) as run:
        run.params({"restore": settings.model_dump(mode="json")})
        save_restore(settings, in_project("models"))


if __name__ == "__main__":
    main()
