"""A batch shared by two processes trains as one process does with the whole batch.

Mask R-CNN is left out: torchvision draws its proposals by chance, in each process others.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

from unmask.config.profiles import use_profile
from unmask.models.stored import load_network

pytestmark = pytest.mark.train
LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node")


def succeed(processes: int, script: str, *arguments: str, cwd: Path) -> str:
    done = subprocess.run(
        [*LAUNCH, str(processes), str(Path(__file__).with_name(script)), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("name", ["gender", "landmarks", "inpainting"])
def test_two_gloo_processes_have_the_losses_of_one(name, masked, models, tmp_path):
    params = tmp_path / "params.yaml"
    use_profile("smoke", ROOT / "conf", params)
    for processes in (1, 2):
        paths = map(str, (params, masked, models, tmp_path))
        succeed(processes, "ddp_losses.py", name, *paths, cwd=tmp_path)
    one, two = (json.loads((tmp_path / f"{name}-{n}.json").read_text()) for n in (1, 2))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["losses"]) == 4
    assert len({losses["train/loss"] for losses in one["losses"]}) == 4
    for alone, shared in zip(one["losses"], two["losses"], strict=True):
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-5)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5)


def test_two_gloo_processes_end_the_stage(workshop):
    """Curves, sheets and checkpoints are the first process's; it must not wait for the other."""
    folder = workshop("shared")
    told = succeed(2, "ddp_stage.py", "inpainting", cwd=folder)
    assert told.count("train inpainting: step") > 1
    load_network(folder / "models" / "inpainting")
