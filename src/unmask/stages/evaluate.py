"""Stage `evaluate`: score models and chain on the test split, write metrics, plots and sheets."""

import json
from pathlib import Path

from unmask.config.params import NETWORKS, load_params
from unmask.config.restore import load_restore
from unmask.datasets.cache import open_split
from unmask.errors import exit_with_message
from unmask.evaluation.evaluate import evaluate
from unmask.evaluation.evaluation_set import select_faces
from unmask.networks import METADATA
from unmask.project import in_project
from unmask.store import connect
from unmask.tracking import WEIGHTS, find_run, flat, stage_run


def _training_runs(models: Path) -> dict[str, str]:
    """The finished MLflow runs that trained the stored networks, as tags; unknown ones left out."""
    client, tags = connect(), {}
    for name in NETWORKS:
        weights = json.loads((models / name / METADATA).read_text())["weights_md5"]
        if run := find_run(client, {WEIGHTS: weights}, "FINISHED"):
            tags[f"unmask.run.train.{name}"] = run
    return tags


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    params, models, out = load_params(), in_project("models"), in_project("reports")
    masked = in_project("data/masked")
    test = open_split(masked, "test")
    with stage_run("evaluate", {"unmask.data_md5": test.digest}) as run:
        run.params(params.evaluate.model_dump(mode="json"))
        run.params({"restore": load_restore(models).model_dump(mode="json")})
        run.dataset(test.labels, "masked", test.digest, "test")
        eval_set = select_faces(test, params.evaluate.max_faces)
        metrics = evaluate(params, eval_set, open_split(masked, "train"), models, out)
        run.metrics(flat(metrics))
        for file in [out / "metrics.json", *sorted((out / "plots").iterdir())]:
            run.file(file, "reports")
        for file in sorted((out / "pictures").iterdir()):
            run.file(file, "pictures")
            run.file_to_parent(file)
        run.to_parent(flat({"chain": metrics["chain"]}), _training_runs(models))


if __name__ == "__main__":
    main()
