"""A training killed with SIGKILL and run again ends with the weights of one never stopped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import change_params
from safetensors.numpy import load_file

pytestmark = pytest.mark.train


def start(folder: Path, network: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "unmask.stages.train", network],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        | {"OMP_NUM_THREADS": "1"},
    )


def finish(folder: Path, network: str) -> str:
    process = start(folder, network)
    text, _ = process.communicate()
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize("network", ["gender", "inpainting"])
def test_killed_training_goes_on(network, workshop):
    whole, cut = workshop("whole"), workshop("cut")
    finish(whole, network)

    process = start(cut, network)
    for line in process.stdout:
        if "step 2/6" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (cut / "models" / network).exists()
    checkpoints = list((cut / ".unmask" / "checkpoints").iterdir())
    assert len(checkpoints) == 1
    text = finish(cut, network)
    assert "going on from" in text
    assert "step 2/6" not in text

    path = Path("models") / network / "model.safetensors"
    expected, resumed = load_file(whole / path), load_file(cut / path)
    assert expected.keys() == resumed.keys()
    for name, weights in expected.items():
        assert (weights == resumed[name]).all(), name
    assert not checkpoints[0].exists()


def test_a_checkpoint_of_other_params_is_not_taken(workshop):
    folder = workshop("changed")
    process = start(folder, "gender")
    for line in process.stdout:
        if "step 2/6" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate()
    change_params(folder, "train.gender", learning_rate=0.0001)
    assert "going on from" not in finish(folder, "gender")
