"""A batch shared by two processes trains as one process does with the whole batch.

Mask R-CNN is left out: torchvision draws its proposals by chance, in each process others.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from unmask.profiles import use_profile

SCRIPT = Path(__file__).with_name("ddp_losses.py")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gender", "landmarks", "inpainting"])
def test_two_gloo_processes_have_the_losses_of_one(name, masked, models, tmp_path):
    params = tmp_path / "params.yaml"
    use_profile("smoke", ROOT / "conf", params)
    for processes in (1, 2):
        launch = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", str(processes), str(SCRIPT)),
        ]
        done = subprocess.run(
            [*launch, name, str(params), str(masked), str(models), str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (json.loads((tmp_path / f"{name}-{n}.json").read_text()) for n in (1, 2))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["losses"]) == 4
    assert len({losses["train/loss"] for losses in one["losses"]}) == 4
    for alone, shared in zip(one["losses"], two["losses"], strict=True):
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-5)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5)
