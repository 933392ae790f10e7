"""How long restoring takes and how much memory, beside torch, OpenCV's Telea and another version.

    python benchmarks/restore_speed.py [--repeats 10] [--photos 200] [--before CHECKOUT/src]

Faces are synthetic, the weights the released ones. A face crop has 256 pixels, a photo 900 with one
face or 1,200 x 900 with twelve, a photo of a folder 640. Torch computes the same chain with the
same weights, and needs the extra `train`. `--before` runs the cold start and the folder with the
package in another checkout too, in turn. Run it on an idle machine.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from unmask.config.params import NETWORKS
from unmask.config.restore import load_restore
from unmask.evaluation.baselines import telea
from unmask.faces.sources import Sampled
from unmask.inference.chain import Chain
from unmask.inference.photo import PhotoRestorer
from unmask.inference.pictures import encode_picture
from unmask.masking import FABRICS, MASK_TYPES, WEARS, put_on
from unmask.masking.samples import sample
from unmask.models.stored import load_network
from unmask.networks import RELEASED
from unmask.parallel import CORES

_GREY = (120, 130, 140)
#: runs its arguments from a small process, since a child's peak is no less than its parent's size
_MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
_COMMAND = [sys.executable, "-c", "from unmask.cli import main; main()", "restore"]


class TorchNetwork:
    """A stored network that torch computes, called as `OnnxNetwork` is."""

    def __init__(self, folder: Path) -> None:
        network = load_network(folder)
        self.image_size, self.latent = network.image_size, network.latent
        tracing = network.tracing(network.image_size)
        self._module, self._names = tracing.module.eval(), list(tracing.inputs)

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """The module's outputs, for inputs by their names."""
        with torch.inference_mode():
            answers = self._module(*(torch.from_numpy(inputs[name]) for name in self._names))
        answers = answers if isinstance(answers, tuple) else (answers,)
        return [answer.numpy() for answer in answers]


def _median(calls: list[Callable[[], object]], repeats: int) -> float:
    """Seconds of a call in the median, after one round to warm up."""
    times = []
    for number in range(repeats + 1):
        for call in calls:
            start = time.perf_counter()
            call()
            if number:
                times.append(time.perf_counter() - start)
    return float(np.median(times))


def _photo(faces: int, height: int, width: int, side: int) -> np.ndarray:
    photo = np.full((height, width, 3), _GREY, np.uint8)
    columns = max(1, width // (side + 40)) if faces > 1 else 1
    for number in range(faces):
        row, column = divmod(number, columns)
        y = (2 * row + 1) * height // (2 * -(-faces // columns)) - side // 2
        x = (2 * column + 1) * width // (2 * columns) - side // 2
        photo[y : y + side, x : x + side] = sample(1, number, side, masked=True)
    return photo


def _command(arguments: list[str], package: Path | None) -> tuple[float, float]:
    """Seconds of `unmask restore` in a new process, and its peak of memory in megabytes."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *_COMMAND, *arguments, "--model", "release"],
        env=os.environ | ({"PYTHONPATH": str(package)} if package else {}),
        capture_output=True,
        text=True,
        cwd=tempfile.gettempdir(),
    )
    if done.returncode:
        raise SystemExit(f"unmask restore {' '.join(arguments)} failed: {done.stderr}")
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1000


def _in_process(repeats: int) -> None:
    """Print a face's and the photos' times by ONNX Runtime and by torch."""
    torch.set_num_threads(CORES)
    cv2.setNumThreads(CORES)
    chains = {f"ONNX Runtime, {threads} threads": Chain.load(RELEASED, threads)
              for threads in dict.fromkeys((CORES, 1))}  # fmt: skip
    chains[f"torch, {CORES} threads"] = Chain(
        {name: TorchNetwork(RELEASED / name) for name in NETWORKS}, load_restore(RELEASED)
    )
    weights = [dict.fromkeys(kinds, 1.0) for kinds in (MASK_TYPES, FABRICS, WEARS)]
    masked = []
    for index in range(8):
        face = Sampled(0, index, 256).read()
        rng = np.random.default_rng(index)
        drawn = dict(zip(("types", "fabrics", "wear"), weights, strict=True))
        masked.append(put_on(face.image, face.landmarks, rng, **drawn))
    photos = {"900 x 900, one face": _photo(1, 900, 900, 512)}
    photos["1,200 x 900, 12 faces"] = _photo(12, 900, 1200, 256)
    for name, chain in chains.items():
        seconds = _median([lambda m=m, c=chain: c.restore(m.image) for m in masked], repeats)
        print(f"face crop of 256 pixels: {seconds:.3f} s ({name})")
    seconds = _median([lambda m=m: telea(m.image, m.mask) for m in masked], repeats)
    print(f"face crop of 256 pixels: {seconds:.3f} s (Telea's fill alone, of a known mask)")
    for what, photo in photos.items():
        for name, chain in chains.items():
            restorer = PhotoRestorer(chain)
            seconds = _median([lambda p=photo, r=restorer: r.restore(p)], max(1, repeats // 3))
            print(f"photo {what}: {seconds:.2f} s ({name})")


def _by_command(photos: int, before: Path | None) -> None:
    """Print a cold start's and a folder's times and memory."""
    packages = {"this version": None} | ({"before": before} if before else {})
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "in", Path(folder) / "out"
        given.mkdir()
        for index in range(photos):
            photo = np.full((640, 640, 3), _GREY, np.uint8)
            photo[160:480, 160:480] = sample(1, index, 320, masked=True)
            (given / f"{index:04}.png").write_bytes(encode_picture(photo))
        for name, package in packages.items():
            _command([str(given / "0000.png"), "--out", str(out)], package)
            runs = [_command([str(given / "0000.png"), "--out", str(out)], package)
                    for _ in range(3)]  # fmt: skip
            seconds, megabytes = np.median(runs, axis=0)
            print(f"one photo in a new process: {seconds:.2f} s, {megabytes:.0f} MB ({name})")
        took = {}
        for name, package in packages.items():
            shutil.rmtree(out)
            took[name], _ = _command([str(given), "--out", str(out)], package)
            print(f"{photos} photos in a folder: {took[name]:.1f} s ({name})")
        if before:
            print(f"the folder: {took['before'] / took['this version']:.1f} times as fast")


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--before", type=Path, help="the folder src of another checkout")
    asked = parser.parse_args()
    _in_process(asked.repeats)
    _by_command(asked.photos, asked.before and asked.before.resolve())


if __name__ == "__main__":
    main()
