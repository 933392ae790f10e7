"""What a trained project can do: the real dvc, the real prefect, the real mlflow."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from project import change_params, executed, run_in, succeed, versions
from ruamel.yaml import YAML

from unmask.inference.pictures import decode_picture, from_base64

pytestmark = [pytest.mark.train, pytest.mark.timeout(2400)]


@contextmanager
def changed(project: Path, section: str, **values) -> Iterator[None]:
    """While this holds, some values of a dotted section of the params are others."""
    change_params(project, section, **values)
    try:
        yield
    finally:
        succeed(project, "git", "checkout", "-q", "params.yaml")


@dataclass(frozen=True)
class Second:
    """What a run with another learning rate of inpainting did, before all was put back."""

    number: str
    executed: set[str]
    shown: dict[str, str]
    params_diff: str
    metrics_diff: str
    back: dict[str, str]


@pytest.fixture(scope="module")
def second(trained) -> Second:
    before = versions(trained)
    with changed(trained, "train.inpainting", learning_rate=0.0011):
        ran = executed(succeed(trained, "dvc", "repro"))
        shown = versions(trained)
        params_diff = succeed(trained, "dvc", "params", "diff")
        metrics_diff = succeed(trained, "dvc", "metrics", "diff")
    succeed(trained, "dvc", "repro")
    (number,) = shown.keys() - before.keys()
    return Second(number, ran, shown, params_diff, metrics_diff, versions(trained))


def test_dvc_reports_work(trained):
    assert "chain.hole_psnr" in succeed(trained, "dvc", "metrics", "show")
    succeed(trained, "dvc", "metrics", "diff")
    succeed(trained, "dvc", "params", "diff")
    succeed(trained, "dvc", "plots", "show")
    assert (trained / "dvc_plots" / "index.html").is_file()


def test_deleted_registry_comes_back(trained):
    before = (trained / "mlflow.db").read_bytes()
    (trained / "mlflow.db").unlink()
    try:
        assert "version 1" in succeed(trained, "unmask", "models", "sync")
        assert "challenger" in versions(trained)["1"]
        assert executed(succeed(trained, "dvc", "repro")) == set()
    finally:
        (trained / "mlflow.db").write_bytes(before)


def test_a_version_keeps_its_reference_and_takes_a_new_one(trained):
    code = (
        "from unmask.registry.references import reference_of_champion;"
        "print(reference_of_champion()[0].read_bytes() == "
        "open('reports/reference.parquet', 'rb').read())"
    )
    assert succeed(trained, "python", "-c", code).endswith("True\n")
    before = versions(trained)
    with changed(trained, "drift", bare=0.0):
        assert executed(succeed(trained, "dvc", "repro")) == {"reference", "register"}
        assert versions(trained) == before
        assert succeed(trained, "python", "-c", code).endswith("True\n")
    succeed(trained, "dvc", "repro")
    assert succeed(trained, "python", "-c", code).endswith("True\n")


def test_a_setting_makes_another_version_without_training(trained):
    before = versions(trained)
    with changed(trained, "restore.blending", grain=0.25):
        ran = executed(succeed(trained, "dvc", "repro"))
        assert ran == {"settings", "evaluate", "reference", "register"}
        (number,) = versions(trained).keys() - before.keys()
        assert "restore.blending.grain" in succeed(trained, "dvc", "params", "diff")
    succeed(trained, "dvc", "repro")
    code = (
        "from unmask.inference.chain import Chain;"
        "from unmask.registry.loading import find_networks;"
        f"print([Chain.load(find_networks(uri)[0]).settings.blending.grain for uri in "
        f"('models', 'models:/unmask/{number}', 'models:/unmask/1')])"
    )
    assert succeed(trained, "python", "-c", code).endswith("[0.5, 0.25, 0.5]\n")


def test_restore_finds_the_faces_of_a_photo(trained):
    succeed(trained, "unmask", "faces", "sample", "-o", "two", "--count", "2", "--masked")
    photo = np.full((300, 500, 3), 120, np.uint8)
    for index, x in enumerate((20, 270)):
        face = cv2.imread(str(trained / "two" / f"face-{index:04d}.png"))
        photo[60:260, x : x + 200] = cv2.resize(face, (200, 200))
    (trained / "photo").mkdir()
    cv2.imwrite(str(trained / "photo" / "pair.png"), photo)
    succeed(trained, "unmask", "restore", "photo", "-o", "photo-out")
    pair = json.loads((trained / "photo-out" / "pair.restored.json").read_text())["faces"]
    middles = sorted((face["box"][0] + face["box"][2]) / 2 for face in pair)
    assert middles[0] < 250 < middles[1]
    assert cv2.imread(str(trained / "photo-out" / "pair.restored.png")).shape == photo.shape


def test_pyfunc_gives_the_command_s_answer(trained, monkeypatch):
    import mlflow
    import pandas as pd

    succeed(trained, "unmask", "faces", "sample", "-o", "one", "--count", "1", "--masked")
    succeed(trained, "unmask", "restore", "one", "-o", "one-out", "--crop", "--save-masks")
    monkeypatch.chdir(trained)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{trained / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model("models:/unmask@champion")
    encoded = base64.b64encode((trained / "one" / "face-0000.png").read_bytes()).decode()
    given = pd.DataFrame({"image": [encoded]})
    answer = model.predict(given, params={"crop": True}).iloc[0]
    pixels = cv2.imdecode(
        np.frombuffer(base64.b64decode(answer["image"]), np.uint8), cv2.IMREAD_COLOR
    )
    assert (pixels == cv2.imread(str(trained / "one-out" / "face-0000.restored.png"))).all()
    mask = from_base64(answer["mask"], "the mask").pixels
    written = (trained / "one-out" / "face-0000.mask.png").read_bytes()
    np.testing.assert_array_equal(mask, decode_picture(written, "the mask"))
    document = json.loads((trained / "one-out" / "face-0000.restored.json").read_text())
    assert answer["faces"] == document["faces"]


def test_restore_flow_writes_a_report(trained):
    succeed(trained, "unmask", "faces", "sample", "-o", "folder", "--count", "2", "--masked")
    succeed(trained, "python", "-m", "flows.restore", "folder", "-o", "flow-out", "--crop")
    report = (trained / "flow-out" / "report" / "index.md").read_text()
    assert "face-0000.png" in report
    assert (trained / "flow-out" / "face-0001.restored.json").is_file()


def test_a_version_is_released_with_its_card_and_restores(trained):
    output = succeed(trained, "unmask", "release", "-o", "released")
    assert "hole PSNR" in output
    card = (trained / "released" / "MODEL_CARD.md").read_text()
    assert "of the holdout split" in card
    assert "from scratch" in card
    metrics = json.loads((trained / "reports" / "release" / "metrics.json").read_text())
    succeed(trained, "unmask", "models", "score", "--model", "released", "-o", "scored")
    assert json.loads((trained / "scored" / "metrics.json").read_text()) == metrics
    done = run_in(trained, "unmask", "models", "score", "--split", "all", "-o", "scored")
    assert "no faces in the split 'all'" in done.stderr
    succeed(trained, "unmask", "faces", "sample", "-o", "masked", "--count", "1", "--masked")
    succeed(
        trained, "unmask", "restore", "masked", "-o", "by-release", "--model", "released",
        "--crop", "--compare",
    )  # fmt: skip
    document = json.loads((trained / "by-release" / "face-0000.restored.json").read_text())
    assert document["model"] == "released"
    assert cv2.imread(str(trained / "by-release" / "face-0000.compare.png")).shape == (128, 256, 3)


def test_one_inpainting_parameter_reruns_exactly_its_stages_and_back(second):
    assert second.executed == {"train@inpainting", "evaluate", "reference", "register"}
    assert "challenger" in second.shown[second.number]
    assert "train.inpainting.learning_rate" in second.params_diff
    # four steps of training: the chain may find no mask, before and after
    assert "alone.hole_psnr" in second.metrics_diff
    assert "challenger" in second.back["1"]
    assert "challenger" not in second.back[second.number]
    assert second.back.keys() == second.shown.keys()


def test_rollback_goes_back_to_the_champion_before(trained, second):
    code = (
        "from unmask.registry.champions import replace_champion;"
        f"replace_champion('1', '{second.number}', 'a test of rollback')"
    )
    succeed(trained, "python", "-c", code)
    assert "champion" in versions(trained)[second.number]
    assert f"version 1 is the champion, in place of {second.number}" in succeed(
        trained, "unmask", "models", "rollback", "--why", "worse on real photos"
    )
    assert "champion" in versions(trained)["1"]
    assert "worse on real photos" in succeed(trained, "unmask", "models", "history")
    done = run_in(trained, "unmask", "models", "rollback")
    assert done.returncode == 1
    assert "no earlier champion" in done.stderr


def test_the_released_weights_become_a_version(trained):
    before = versions(trained)
    assert "is the challenger" in succeed(trained, "unmask", "models", "import")
    after = versions(trained)
    (imported,) = after.keys() - before.keys()
    assert "challenger" in after[imported]
    succeed(trained, "unmask", "models", "sync")
    assert "challenger" not in versions(trained)[imported]


def test_gate_refuses_with_reasons(trained, second):
    with changed(trained, "gate.floors", mask_iou=1.0):
        done = run_in(trained, "unmask", "models", "promote", second.number)
    assert done.returncode == 1
    assert "FAIL  mask IoU" in done.stdout
    assert "refused" in versions(trained)[second.number]
    assert "champion" in versions(trained)["1"]


def test_a_stage_added_to_dvc_yaml_is_run_by_the_flow(trained):
    yaml = YAML()
    document = yaml.load((trained / "dvc.yaml").read_text())
    document["stages"]["count"] = {
        "cmd": "python -c \"open('reports/count.txt','w').write('1')\"",
        "deps": ["reports/metrics.json"],
        "outs": [{"reports/count.txt": {"cache": False}}],
    }
    with (trained / "dvc.yaml").open("w") as file:
        yaml.dump(document, file)
    output = succeed(trained, "python", "-c", "from flows.train import train; train(promote=False)")
    assert "of 11: count" in output
    assert (trained / "reports" / "count.txt").read_text() == "1"
    succeed(trained, "git", "checkout", "-q", "dvc.yaml", "dvc.lock")
