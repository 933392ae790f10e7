"""Stages `faces` and `masked` as MLflow runs: make the data, keep counts, failures and a sheet."""

import sys
from importlib import import_module
from pathlib import Path

from unmask.data.shards import count_rows, decode_image, digest, read_rows, shards_of
from unmask.errors import plainly
from unmask.faces.splits import SPLITS
from unmask.params import load_params
from unmask.training.sheets import grid
from unmask.training.tracking import stage_run

_SHOWN, _COLUMNS = 40, 10


def _pictures(folder: Path) -> list:
    """The first faces of the training split, masked where the data set has masks."""
    pictures = []
    for _, row in zip(range(_SHOWN), read_rows(shards_of(folder, "train")), strict=False):
        variants = row.get("variants")
        pictures.append(decode_image(variants[0]["masked"] if variants else row["image"]))
    return pictures


@plainly
def main() -> None:
    """The stage that the command line names, as DVC runs it in the folder of params.yaml."""
    name = sys.argv[1]
    params = load_params()
    make = import_module(f"unmask.data.{name}_stage").make
    with stage_run(name, {}) as run:
        section = {"faces": params.faces, "masked": params.masking}[name]
        run.params({"seed": params.seed, **section.model_dump(mode="json")})
        failures = make(params, Path("data"))
        folder = Path("data") / name
        counts = {split: count_rows(shards_of(folder, split)) for split in SPLITS}
        run.metrics({**counts, "left_out": len(failures)})
        run.tag({"unmask.data_md5": digest([s for p in SPLITS for s in shards_of(folder, p)])})
        if failures:
            run.text("\n".join(failures) + "\n", "left_out.txt")
        shown = _pictures(folder)
        rows = [shown[i : i + _COLUMNS] for i in range(0, len(shown), _COLUMNS)]
        rows = [row for row in rows if len(row) == len(rows[0])]
        if rows:
            run.picture(grid(rows), "sheet.png")


if __name__ == "__main__":
    main()
