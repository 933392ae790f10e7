import os
import subprocess

import pytest
from project import DVC_YAML, ROOT, run_in

from unmask.config.profiles import use_profile
from unmask.masking.samples import write_samples


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    use_profile("smoke", ROOT / "conf", tmp_path / "params.yaml")
    return tmp_path


def refused(folder, *command: str, **environment: str) -> str:
    done = run_in(folder, *command, **environment)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_no_champion_yet(folder):
    (folder / "a.png").touch()
    command = ("unmask", "restore", "a.png", "-o", "out", "--model", "models:/unmask@champion")
    message = refused(folder, *command)
    assert "there is no champion yet" in message
    assert "make run" in message


def test_restoring_leaves_nothing_at_home(folder):
    home = folder / "home"
    home.mkdir()
    write_samples(folder / "in", 1, 64, 0, masked=True)
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    command = ["unmask", "restore", "in", "-o", "out", "--model", "release"]
    own = environment | {"HOME": str(home)}
    subprocess.run(command, cwd=folder, env=own, check=True, capture_output=True)
    assert (folder / "out" / "face-0000.restored.png").is_file()
    assert list(home.rglob("*")) == []


def test_missing_picture(folder):
    message = refused(folder, "unmask", "restore", "nosuch.png", "-o", "out", "--crop")
    assert "nosuch.png does not exist" in message


def test_wrong_gender(folder):
    (folder / "a.png").touch()
    message = refused(folder, "unmask", "restore", "a.png", "-o", "out", "--crop", "--gender", "x")
    assert "gender is 'x': use auto, male or female" in message


def test_stage_names_a_missing_face_folder(folder):
    text = (folder / "params.yaml").read_text()
    text = text.replace("name: appearance_model, count: 96", "name: utkface, path: nosuch")
    (folder / "params.yaml").write_text(text)
    message = refused(folder, "python", "-m", "unmask.stages.faces")
    assert "the face folder nosuch does not exist" in message
    assert not (folder / "data" / "faces").exists()


def test_stage_names_an_unknown_parameter(folder):
    with (folder / "params.yaml").open("a") as file:
        file.write("colour: 1\n")
    message = refused(folder, "python", "-m", "unmask.stages.faces")
    assert "unknown parameter 'colour'" in message


def test_sampled_faces_are_the_same_bytes(folder):
    for name in ("a", "b"):
        assert (
            run_in(
                folder, "unmask", "faces", "sample", "-o", name, "--count", "2", "--masked"
            ).returncode
            == 0
        )
    for file in ("face-0000.png", "face-0001.png"):
        assert (folder / "a" / file).read_bytes() == (folder / "b" / file).read_bytes()


def test_promotion_needs_a_challenger(folder):
    assert "no challenger" in refused(folder, "unmask", "models", "promote")


def test_sync_needs_trained_networks(folder):
    assert "run `dvc repro` first" in refused(folder, "unmask", "models", "sync")
