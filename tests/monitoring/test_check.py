import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from production import darker, seen_like
from project import DVC_YAML, ROOT

from unmask.config.params import Params, load_params
from unmask.config.profiles import use_profile
from unmask.errors import UnmaskError
from unmask.monitoring.batches import BATCHES, write_batch
from unmask.monitoring.check import DriftCheck, check_drift
from unmask.monitoring.drift import DRIFT, STABLE, TOO_FEW
from unmask.monitoring.ledger import Ledger
from unmask.monitoring.reference import Reference
from unmask.registry.references import RELEASED_REFERENCE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without a champion, whose tracking store is there."""
    folder = tmp_path_factory.mktemp("monitored")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    use_profile("cpu", ROOT / "conf", folder / "params.yaml")
    return folder


@pytest.fixture
def root(project, monkeypatch) -> Path:
    """The project, with no batches and no ledger."""
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    (project / ".unmask" / "monitor.json").unlink(missing_ok=True)
    for path in (project / BATCHES).glob("*"):
        path.unlink()
    return project


@pytest.fixture(scope="module")
def params(project) -> Params:
    return load_params(project / "params.yaml")


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.load(RELEASED_REFERENCE)


def checked(params: Params, root: Path) -> DriftCheck:
    found = check_drift(params, root)
    found.ledger.write(root)
    return found


def runs(root: Path) -> list[str]:
    with sqlite3.connect(root / "mlflow.db") as database:
        return [
            identity
            for (identity,) in database.execute(
                "select r.run_uuid from runs r where r.name = 'monitor' order by r.start_time"
            )
        ]


def test_without_a_batch_there_is_nothing_to_say(root, params):
    assert check_drift(params, root) is None


def test_few_faces_wait_until_there_are_enough(root, params, reference):
    least = params.drift.minimum
    write_batch(seen_like(reference, 0, least // 2, darker), root / BATCHES, "a")
    first = checked(params, root)
    assert (first.verdict, first.is_new, first.densities) == (TOO_FEW, False, None)
    assert "too few" in first.report
    write_batch(seen_like(reference, 1, least, darker), root / BATCHES, "b")
    second = checked(params, root)
    assert second.verdict == DRIFT
    assert second.ledger.judged.keys() == {"a.parquet", "b.parquet"}
    assert check_drift(params, root) is None


def test_more_of_the_same_is_no_drift(root, params, reference):
    before = len(runs(root)) if (root / "mlflow.db").is_file() else 0
    write_batch(seen_like(reference, 2, 200), root / BATCHES, "a")
    found = checked(params, root)
    assert (found.verdict, found.features, found.is_new) == (STABLE, (), False)
    assert len(runs(root)) == before + 1


def test_drift_is_told_of_once_for_a_champion(root, params, reference):
    write_batch(seen_like(reference, 3, 100, darker), root / BATCHES, "a")
    found = check_drift(params, root)
    assert found.features == ("brightness",)
    assert found.is_new
    light = params.drift.changes["brightness"]
    assert found.changes == {"seed": found.changes["seed"], **light}
    again = check_drift(params, root)  # a flow that was killed before it wrote the ledger
    assert (again.id, again.is_new, again.changes) == (found.id, True, found.changes)
    again.ledger.write(root)
    write_batch(seen_like(reference, 4, 100, darker), root / BATCHES, "b")
    more = checked(params, root)
    assert (more.verdict, more.is_new) == (DRIFT, False)
    assert more.id != found.id

    def redder(row):
        return darker(row) | {"colour_a": row["colour_a"] + 40.0}

    write_batch(seen_like(reference, 5, 100, redder), root / BATCHES, "c")
    other = checked(params, root)
    assert other.features == ("brightness", "colour_a")
    assert other.is_new
    colour = params.drift.changes["colour"]
    assert other.changes == {"seed": other.changes["seed"], **light, **colour}
    ledger = Ledger.read(root)
    assert ledger.announced == ("brightness", "colour")
    Ledger(ledger.judged, "an earlier champion", ledger.announced, {}).write(root)
    write_batch(seen_like(reference, 6, 100, darker), root / BATCHES, "d")
    assert check_drift(params, root).is_new


def test_the_report_is_a_run_of_mlflow(root, params, reference):
    write_batch(seen_like(reference, 7, 100, darker), root / BATCHES, "a")
    found = checked(params, root)
    assert "| brightness | drift |" in found.report
    assert found.densities.ndim == 3
    assert found.densities.std() > 5
    with sqlite3.connect(root / "mlflow.db") as database:
        run = runs(root)[-1]
        tags = dict(database.execute("select key, value from tags where run_uuid = ?", (run,)))
        metrics = dict(
            database.execute("select key, value from metrics where run_uuid = ?", (run,))
        )
    assert tags["unmask.drift"] == found.id
    assert tags["unmask.verdict"] == DRIFT
    assert metrics["effect.brightness"] > 0.5
    assert metrics["drifted"] == 1
    (text,) = root.glob(f"mlartifacts/**/{run}/artifacts/drift.md")
    assert text.read_text() == found.report
    assert list(root.glob(f"mlartifacts/**/{run}/artifacts/densities.png"))


def test_what_few_faces_show_is_judged_once_there_are_enough(root, params, reference):
    """Of the faces of each check too few have a mask to be judged; of all there are enough."""

    def bare(row):
        return row | {"status": "no_mask", "colour_a": np.nan}

    def redder(row):
        return row | {"colour_a": row["colour_a"] + 40.0}

    masked = reference.table[np.isfinite(reference.table["colour_a"])]
    some = replace(reference, table=masked)
    least = params.drift.minimum
    for number in range(3):
        rows = seen_like(reference, 20 + number, least, bare)
        rows += seen_like(some, 30 + number, least // 2, redder)
        write_batch(rows, root / BATCHES, str(number))
        found = checked(params, root)
        assert ("colour_a" in found.features) == (number == 1)
        waits = {0: ["0.parquet"], 1: None, 2: ["2.parquet"]}[number]
        assert found.ledger.waiting.get("colour_a") == waits
    assert found.densities is not None


def test_a_replaced_batch_is_judged_again_and_the_same_one_is_not(root, params, reference):
    rows = seen_like(reference, 8, 80)
    write_batch(rows, root / BATCHES, "a")
    checked(params, root)
    write_batch(rows, root / BATCHES, "a")
    assert check_drift(params, root) is None
    write_batch(seen_like(reference, 9, 80, darker), root / BATCHES, "a")
    assert check_drift(params, root).verdict == DRIFT


def test_faces_that_another_model_restored_are_left_out(root, params, reference):
    def elsewhere(row):
        return darker(row) | {"model": "another", "embedding": [1.0]}

    write_batch(seen_like(reference, 10, 100, elsewhere), root / BATCHES, "a")
    assert check_drift(params, root).verdict == TOO_FEW
    write_batch(seen_like(reference, 11, 100), root / BATCHES, "b")
    found = check_drift(params, root)
    assert found.verdict == STABLE
    assert "another model restored, which are left out: 100." in found.report


def test_the_ledger_of_version_0_1_is_read(root):
    old = {"judged": {"a.parquet": "x"}, "model": "m", "told": ["colour"], "waiting": {}}
    (root / ".unmask" / "monitor.json").write_text(json.dumps(old))
    assert Ledger.read(root) == Ledger({"a.parquet": "x"}, "m", ("colour",), {})


def test_a_damaged_ledger_is_named(root, params, reference):
    write_batch(seen_like(reference, 12, 80), root / BATCHES, "a")
    for text in ("{", "[]", json.dumps({"judged": {}})):
        (root / ".unmask" / "monitor.json").write_text(text)
        with pytest.raises(UnmaskError, match=r"monitor\.json is damaged"):
            check_drift(params, root)
