"""A batch shared by two nodes, of one process each, trains as one process does with all of it.

Mask R-CNN is left out: torchvision draws its proposals by chance, in each process others.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT
from team.services import free_port

from unmask.config.profiles import use_profile
from unmask.models.stored import load_network

pytestmark = pytest.mark.train


def on_nodes(number: int, *program: str, cwd: Path) -> str:
    """What a program says that torchrun starts once on each of so many nodes, all on loopback."""
    rendezvous = ("--master_addr", "127.0.0.1", "--master_port", str(free_port()))
    nodes = ("--nnodes", str(number), "--nproc_per_node", "1", *rendezvous)
    launch = (sys.executable, "-m", "torch.distributed.run", *nodes)
    started = [
        subprocess.Popen(
            [*launch, "--node_rank", str(rank), *program],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(number)
    ]
    told = [process.communicate(timeout=600)[0] for process in started]
    assert [process.returncode for process in started] == [0] * number, told[0][-3000:]
    return told[0]


@pytest.mark.parametrize("name", ["gender", "landmarks", "inpainting"])
def test_two_nodes_have_the_losses_of_one(name, masked, models, tmp_path):
    params = tmp_path / "params.yaml"
    use_profile("smoke", ROOT / "conf", params)
    script = str(Path(__file__).with_name("ddp_losses.py"))
    for nodes in (1, 2):
        paths = map(str, (params, masked, models, tmp_path))
        on_nodes(nodes, script, name, *paths, cwd=tmp_path)
    one, two = (json.loads((tmp_path / f"{name}-{n}.json").read_text()) for n in (1, 2))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(one["losses"]) == 4
    assert len({losses["train/loss"] for losses in one["losses"]}) == 4
    for alone, shared in zip(one["losses"], two["losses"], strict=True):
        assert shared == pytest.approx(alone, rel=1e-3, abs=1e-5)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5)


def test_two_nodes_end_the_stage(workshop):
    """Curves, sheets and checkpoints are the first process's; it must not wait for the other."""
    folder = workshop("shared")
    told = on_nodes(2, "-m", "unmask.stages.train", "inpainting", cwd=folder)
    assert told.count("train inpainting: step") > 1
    load_network(folder / "models" / "inpainting")
