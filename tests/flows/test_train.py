"""The whole pipeline once at smoke size: the real dvc, the real prefect, the real mlflow."""

import json
import sqlite3

import cv2
import numpy as np
import pytest
from project import STAGES, executed, run_in, succeed, versions

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


def test_first_challenger_is_promoted_by_the_floors(trained):
    assert "champion" in versions(trained)["1"]
    assert "challenger" in versions(trained)["1"]
    history = succeed(trained, "unmask", "models", "history")
    assert "- -> 1" in history
    assert "minutes: faces" in (trained / "flow.log").read_text()


def test_metrics_are_whole(trained):
    metrics = json.loads((trained / "reports" / "metrics.json").read_text())
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


def test_runs_are_children_of_one_parent(trained):
    with sqlite3.connect(trained / "first.db") as database:
        rows = database.execute(
            "select r.name, r.status, p.value from runs r left join tags p "
            "on p.run_uuid = r.run_uuid and p.key = 'mlflow.parentRunId'"
        ).fetchall()
    parents = [name for name, _, parent in rows if parent is None]
    assert len(parents) == 1
    children = {name for name, _, parent in rows if parent is not None}
    assert children == STAGES | {"gate"}
    assert {status for _, status, _ in rows} == {"FINISHED"}


def test_second_repro_does_nothing(trained):
    output = succeed(trained, "dvc", "repro")
    assert executed(output) == set()
    assert "up to date" in output


def test_restore_through_the_champion(trained):
    succeed(trained, "unmask", "faces", "sample", "-o", "in", "--count", "2", "--masked")
    (trained / "in" / "note.png").write_text("no picture")
    done = run_in(trained, "unmask", "restore", "in", "-o", "out", "--crop", "--save-masks")
    assert done.returncode == 1
    assert "in/note.png: not an image" in done.stderr
    document = json.loads((trained / "out" / "face-0000.restored.json").read_text())
    assert document["model"] == "unmask/1"
    given = cv2.imread(str(trained / "in" / "face-0000.png"))
    restored = cv2.imread(str(trained / "out" / "face-0000.restored.png"))
    hole = cv2.imread(str(trained / "out" / "face-0000.mask.png"), cv2.IMREAD_GRAYSCALE)
    assert restored.shape == given.shape
    assert set(np.unique(hole)) <= {0, 255}
    assert (document["faces"][0]["status"] == "restored") == bool(hole.any())
    far = cv2.dilate(hole, np.ones((17, 17), np.uint8)) == 0
    assert (restored[far] == given[far]).all()
