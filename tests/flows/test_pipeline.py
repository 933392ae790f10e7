"""End to end at smoke size: the real dvc, the real prefect, the real mlflow."""

import base64
import json
import sqlite3
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from project import STAGES, copy_project, run_in
from ruamel.yaml import YAML

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]  # the first test waits for a training


def succeed(project: Path, *command: str, **environment: str) -> str:
    done = run_in(project, *command, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def executed(output: str) -> set[str]:
    return {
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    }


def change_params(project: Path, network: str, **values) -> None:
    yaml = YAML()
    tree = yaml.load((project / "params.yaml").read_text())
    tree["train"][network].update(values)
    with (project / "params.yaml").open("w") as file:
        yaml.dump(tree, file)


def versions(project: Path) -> dict[str, str]:
    """Version number to aliases, as `unmask models list` prints them."""
    lines = succeed(project, "unmask", "models", "list").splitlines()
    return {line.split()[0]: line for line in lines if line.strip()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose train flow has run once."""
    folder = copy_project(tmp_path_factory.mktemp("pipeline") / "project")
    output = succeed(folder, "python", "-m", "flows.train")
    for stage in STAGES:
        assert f": {stage}" in output
    (folder / "flow.log").write_text(output)
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "-qm", "trained"], cwd=folder, check=True)
    return folder


def test_first_challenger_is_promoted_by_the_floors(project):
    assert "champion" in versions(project)["1"]
    assert "challenger" in versions(project)["1"]
    history = succeed(project, "unmask", "models", "history")
    assert "- -> 1" in history
    assert "minutes: faces" in (project / "flow.log").read_text()


def test_metrics_are_whole(project):
    metrics = json.loads((project / "reports" / "metrics.json").read_text())
    assert metrics["faces"] > 0
    for part in ("chain", "alone"):
        for key in ("hole_psnr", "hole_ssim", "frechet", "mask_iou", "mask_boundary_iou", "nme"):
            assert np.isfinite(metrics[part][key])
        for key in ("perceptual", "sharpness", "picture_psnr", "picture_ssim"):
            assert metrics[part][key] > 0
    assert set(metrics["baselines"]) == {
        "masked",
        "mean_face",
        "telea",
        "navier_stokes",
        "eigenfaces",
    }


def test_runs_are_children_of_one_parent(project):
    with sqlite3.connect(project / "mlflow.db") as database:
        rows = database.execute(
            "select r.name, r.status, p.value from runs r left join tags p "
            "on p.run_uuid = r.run_uuid and p.key = 'mlflow.parentRunId'"
        ).fetchall()
    parents = [name for name, _, parent in rows if parent is None]
    assert len(parents) == 1
    children = {name for name, _, parent in rows if parent is not None}
    assert children == STAGES | {"gate"}
    assert {status for _, status, _ in rows} == {"FINISHED"}


def test_second_repro_does_nothing(project):
    output = succeed(project, "dvc", "repro")
    assert executed(output) == set()
    assert "up to date" in output


def test_dvc_reports_work(project):
    assert "chain.hole_psnr" in succeed(project, "dvc", "metrics", "show")
    succeed(project, "dvc", "metrics", "diff")
    succeed(project, "dvc", "params", "diff")
    succeed(project, "dvc", "plots", "show")
    assert (project / "dvc_plots" / "index.html").is_file()


def test_deleted_registry_comes_back(project):
    before = (project / "mlflow.db").read_bytes()
    (project / "mlflow.db").unlink()
    assert "version 1" in succeed(project, "unmask", "models", "sync")
    assert "challenger" in versions(project)["1"]
    assert executed(succeed(project, "dvc", "repro")) == set()
    (project / "mlflow.db").write_bytes(before)


def test_a_version_keeps_its_reference_and_takes_a_new_one(project):
    code = (
        "from unmask.registry.references import reference_of_champion;"
        "print(reference_of_champion()[0].read_bytes() == "
        "open('reports/reference.parquet', 'rb').read())"
    )
    assert succeed(project, "python", "-c", code).endswith("True\n")
    params = YAML().load((project / "params.yaml").read_text())
    params["drift"]["bare"] = 0.0
    with (project / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    assert executed(succeed(project, "dvc", "repro")) == {"reference", "register"}
    assert len(versions(project)) == 1
    assert succeed(project, "python", "-c", code).endswith("True\n")
    succeed(project, "git", "checkout", "-q", "params.yaml")
    succeed(project, "dvc", "repro")
    assert succeed(project, "python", "-c", code).endswith("True\n")


def test_restore_through_the_champion(project):
    succeed(project, "unmask", "faces", "sample", "-o", "in", "--count", "2", "--masked")
    (project / "in" / "note.png").write_text("no picture")
    done = run_in(project, "unmask", "restore", "in", "-o", "out", "--crop", "--save-masks")
    assert done.returncode == 1
    assert "in/note.png: not an image" in done.stderr
    document = json.loads((project / "out" / "face-0000.json").read_text())
    assert document["model"] == "unmask/1"
    assert document["faces"][0]["status"] in ("restored", "no_mask", "skipped")
    given = cv2.imread(str(project / "in" / "face-0000.png"))
    restored = cv2.imread(str(project / "out" / "face-0000.png"))
    hole = cv2.imread(str(project / "out" / "face-0000.mask.png"), cv2.IMREAD_GRAYSCALE)
    assert restored.shape == given.shape
    assert set(np.unique(hole)) <= {0, 255}
    far = cv2.dilate(hole, np.ones((17, 17), np.uint8)) == 0
    assert (restored[far] == given[far]).all()


def test_restore_finds_the_faces_of_a_photo(project):
    succeed(project, "unmask", "faces", "sample", "-o", "two", "--count", "2", "--masked")
    photo = np.full((300, 500, 3), 120, np.uint8)
    for index, x in enumerate((20, 270)):
        face = cv2.imread(str(project / "two" / f"face-{index:04d}.png"))
        photo[60:260, x : x + 200] = cv2.resize(face, (200, 200))
    (project / "photo").mkdir()
    cv2.imwrite(str(project / "photo" / "pair.png"), photo)
    succeed(project, "unmask", "restore", "photo", "-o", "photo-out")
    pair = json.loads((project / "photo-out" / "pair.json").read_text())["faces"]
    middles = sorted((face["box"][0] + face["box"][2]) / 2 for face in pair)
    assert middles[0] < 250 < middles[1]
    assert cv2.imread(str(project / "photo-out" / "pair.png")).shape == photo.shape


def test_pyfunc_gives_the_command_s_answer(project, monkeypatch):
    import mlflow
    import pandas as pd

    succeed(project, "unmask", "faces", "sample", "-o", "one", "--count", "1", "--masked")
    succeed(project, "unmask", "restore", "one", "-o", "one-out", "--crop", "--save-masks")
    monkeypatch.chdir(project)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{project / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{project / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/unmask@champion")
    encoded = base64.b64encode((project / "one" / "face-0000.png").read_bytes()).decode()
    given = pd.DataFrame({"image": [encoded]})
    answer = model.predict(given, params={"crop": True}).iloc[0]
    pixels = cv2.imdecode(
        np.frombuffer(base64.b64decode(answer["image"]), np.uint8), cv2.IMREAD_COLOR
    )
    assert (pixels == cv2.imread(str(project / "one-out" / "face-0000.png"))).all()
    mask = base64.b64decode(answer["mask"])
    assert mask == (project / "one-out" / "face-0000.mask.png").read_bytes()
    document = json.loads((project / "one-out" / "face-0000.json").read_text())
    assert answer["faces"] == document["faces"]


def test_restore_flow_writes_a_report(project):
    succeed(project, "unmask", "faces", "sample", "-o", "folder", "--count", "2", "--masked")
    succeed(project, "python", "-m", "flows.restore", "folder", "-o", "flow-out", "--crop")
    report = (project / "flow-out" / "report" / "index.md").read_text()
    assert "face-0000.png" in report
    assert (project / "flow-out" / "face-0001.json").is_file()


def test_a_version_is_released_with_its_card_and_restores(project):
    output = succeed(project, "unmask", "release", "-o", "released")
    assert "hole PSNR" in output
    card = (project / "released" / "MODEL_CARD.md").read_text()
    assert "of the holdout split" in card
    assert "from scratch" in card
    metrics = json.loads((project / "reports" / "release" / "metrics.json").read_text())
    succeed(project, "unmask", "models", "score", "--model", "released", "-o", "scored")
    assert json.loads((project / "scored" / "metrics.json").read_text()) == metrics
    done = run_in(project, "unmask", "models", "score", "--split", "all", "-o", "scored")
    assert "no faces in the split 'all'" in done.stderr
    succeed(project, "unmask", "faces", "sample", "-o", "masked", "--count", "1", "--masked")
    succeed(
        project, "unmask", "restore", "masked", "-o", "by-release", "--model", "released",
        "--crop", "--compare",
    )  # fmt: skip
    document = json.loads((project / "by-release" / "face-0000.json").read_text())
    assert document["model"] == "released"
    assert cv2.imread(str(project / "by-release" / "face-0000.compare.png")).shape == (128, 256, 3)


def test_one_inpainting_parameter_reruns_exactly_its_stages_and_back(project):
    change_params(project, "inpainting", learning_rate=0.0011)
    assert executed(succeed(project, "dvc", "repro")) == {
        "train@inpainting",
        "evaluate",
        "reference",
        "register",
    }
    assert "challenger" in versions(project)["2"]
    difference = succeed(project, "dvc", "params", "diff")
    assert "train.inpainting.learning_rate" in difference
    # four steps of training: the chain may find no mask, before and after
    assert "alone.hole_psnr" in succeed(project, "dvc", "metrics", "diff")
    succeed(project, "git", "checkout", "-q", "params.yaml")
    succeed(project, "dvc", "repro")
    shown = versions(project)
    assert "challenger" in shown["1"]
    assert "challenger" not in shown["2"]
    assert len(shown) == 2


def test_rollback_goes_back_to_the_champion_before(project):
    from unmask.registry import versions as registry

    code = (
        "from unmask.registry.champions import make_champion;"
        "make_champion('2', 'a test of rollback')"
    )
    succeed(project, "python", "-c", code)
    assert registry.CHAMPION in versions(project)["2"]
    assert "version 1 is the champion again, in place of 2" in succeed(
        project, "unmask", "models", "rollback", "--why", "worse on real photos"
    )
    assert "champion" in versions(project)["1"]
    assert "worse on real photos" in succeed(project, "unmask", "models", "history")
    done = run_in(project, "unmask", "models", "rollback")
    assert done.returncode == 1
    assert "no earlier champion" in done.stderr


def test_the_released_weights_become_a_version(project):
    before = versions(project)
    assert "is the challenger" in succeed(project, "unmask", "models", "import")
    after = versions(project)
    (imported,) = after.keys() - before.keys()
    assert "challenger" in after[imported]
    succeed(project, "unmask", "models", "sync")
    assert "challenger" not in versions(project)[imported]


def test_gate_refuses_with_reasons(project):
    yaml = YAML()
    tree = yaml.load((project / "params.yaml").read_text())
    tree["gate"]["floors"]["mask_iou"] = 1.0
    with (project / "params.yaml").open("w") as file:
        yaml.dump(tree, file)
    done = run_in(project, "unmask", "models", "promote", "2")
    succeed(project, "git", "checkout", "-q", "params.yaml")
    assert done.returncode == 1
    assert "FAIL  mask IoU" in done.stdout
    assert "refused" in versions(project)["2"]
    assert "champion" in versions(project)["1"]


def test_a_stage_added_to_dvc_yaml_is_run_by_the_flow(project):
    yaml = YAML()
    document = yaml.load((project / "dvc.yaml").read_text())
    document["stages"]["count"] = {
        "cmd": "python -c \"open('reports/count.txt','w').write('1')\"",
        "deps": ["reports/metrics.json"],
        "outs": [{"reports/count.txt": {"cache": False}}],
    }
    with (project / "dvc.yaml").open("w") as file:
        yaml.dump(document, file)
    output = succeed(project, "python", "-c", "from flows.train import train; train(promote=False)")
    assert "of 10: count" in output
    assert (project / "reports" / "count.txt").read_text() == "1"
