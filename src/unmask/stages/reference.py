"""Stage `reference`: make the reference that drift is measured against."""

from unmask.config.params import load_params
from unmask.datasets.cache import open_split
from unmask.errors import exit_with_message
from unmask.monitoring.reference import make_reference
from unmask.project import in_project
from unmask.tracking import stage_run


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    params, masked = load_params(), in_project("data/masked")
    out = in_project("reports/reference.parquet")
    val = open_split(masked, "val")
    with stage_run("reference", {"unmask.data_md5": val.digest}) as run:
        run.params({"bare": params.drift.bare, "components": params.drift.components})
        run.dataset(val.labels, "masked", val.digest, "val")
        reference = make_reference(params, in_project(), masked, in_project("models"))
        reference.save(out)
        run.file(out, "reference")
        run.metrics({"faces": len(reference.table)})


if __name__ == "__main__":
    main()
