"""Bytes, kills and efficiency of synthesis and restoring on a Dask cluster of this machine.

    PYTHONPATH=tests python -m benchmarks.cluster_scale [--faces 4096] [--photos 2000] [--timed 512]

`dask scheduler` and `dask worker`, as a user starts them, on loopback. First what one process makes
of so many faces and photos, a quarter of which show a mask, is compared with what two workers make,
one of which is killed midway. Then one worker and two, of one thread each, do the same work; the
efficiency is half the ratio of their seconds, in which the scheduler, and the process that hands
out and writes, take part.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from project import DVC_YAML, change_params
from team.dask import dask_with

from benchmarks.inbox_kills import alive
from unmask.config.params import Params, load_params
from unmask.config.profiles import use_profile
from unmask.faces.dataset import make as make_faces
from unmask.inference.files import FileAnswer, restore_files
from unmask.inference.inputs import Inputs
from unmask.inference.photo import stored_restorer
from unmask.inference.results import RestoreOptions
from unmask.masking.dataset import make as make_masked
from unmask.masking.samples import write_samples
from unmask.networks import RELEASED

_ROOT = Path(__file__).parents[1]


def mask(params: Params, name: str | None, out: Path, faces: Path) -> float:
    """Put masks on the faces of a folder; returns the seconds."""
    out.mkdir()
    (out / "faces").symlink_to(faces)
    begun = time.monotonic()
    make_masked(params.model_copy(update={"cluster": name}), out)
    return time.monotonic() - begun


def restore(photos: Path, name: str | None, out: Path) -> Iterator[FileAnswer]:
    """Restore the photos of a folder with one thread for each network."""
    inputs = Inputs([photos], recursive=True)
    restorer, _ = stored_restorer(RELEASED, 1, threads=1)
    options = RestoreOptions(crop=True)
    return restore_files(inputs, out, restorer, "m", options=options, workers=1, cluster=name)


def timed(photos: Path, name: str | None, out: Path) -> float:
    """Seconds that `restore` takes."""
    begun = time.monotonic()
    for answer in restore(photos, name, out):
        assert not answer.error, answer.error
    return time.monotonic() - begun


def digest(folder: Path) -> str:
    """SHA-256 of all files in a folder, with their names."""
    digest = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def check(params: Params, faces: Path, photos: Path, folder: Path) -> None:
    """Compare two workers, one of which is killed, with one process."""
    seconds = mask(params, None, folder / "masked-alone", faces)
    print(f"masked by one process: {seconds:.0f} s", flush=True)
    with dask_with(2, folder) as (dask, workers):
        settings = {"masking": params.masking.model_copy(update={"workers": 1})}
        shared = params.model_copy(update=settings)
        killer = _kill_after(seconds / 3, workers[0])
        seconds = mask(shared, dask.address, folder / "masked-shared", faces)
        killer.wait()
        assert not alive(workers[0])
    print(f"masked by two workers, one killed: {seconds:.0f} s", flush=True)
    same = [digest(folder / f"masked-{name}" / "masked") for name in ("alone", "shared")]
    print(f"masked: SHA-256 {same[0]} and {same[1]}", flush=True)
    print(f"restored by one process: {timed(photos, None, folder / 'alone'):.0f} s", flush=True)
    with dask_with(2, folder) as (dask, workers):
        begun, answers = time.monotonic(), restore(photos, dask.address, folder / "shared")
        found = len(list(islice(answers, 500)))
        workers[0].send_signal(signal.SIGKILL)
        found += sum(1 for _ in answers)
        print(
            f"restored by two workers, one killed: {found} in {time.monotonic() - begun:.0f} s",
            flush=True,
        )
    same += [digest(folder / name) for name in ("alone", "shared")]
    print(f"restored: SHA-256 {same[2]} and {same[3]}", flush=True)
    if same[0] != same[1] or same[2] != same[3]:
        sys.exit("a cluster makes other bytes than one process")


def _kill_after(seconds: float, process: psutil.Popen) -> subprocess.Popen:
    return subprocess.Popen(["sh", "-c", f"sleep {seconds:.1f}; kill -9 {process.pid}"])


def compare(params: Params, faces: Path, photos: Path, folder: Path) -> None:
    """Time one worker and two."""
    took: dict[str, list[float]] = {"masked": [], "restored": []}
    for count in (1, 2):
        with dask_with(count, folder) as (dask, _):
            timed(
                photos.with_name("few"), dask.address, folder / f"few-{count}"
            )  # loads what is used
            out = folder / f"timed-{count}"
            took["masked"].append(mask(params, dask.address, out, faces))
            took["restored"].append(timed(photos, dask.address, out / "restored"))
    for what, (one, two) in took.items():
        print(f"{what}: {one:.1f} s by one worker, {two:.1f} s by two: {one / two / 2:.3f}")


def main() -> None:
    """Print bytes, then seconds and efficiencies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=4096)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--timed", type=int, default=512, help="photos")
    parser.add_argument("--only-timed", action="store_true")
    asked = parser.parse_args()
    with TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        (folder / "dvc.yaml").write_text(DVC_YAML)
        use_profile("cpu", _ROOT / "conf", folder / "params.yaml")
        sources = [{"name": "appearance_model", "count": asked.faces}]
        change_params(folder, "faces", sources=sources)
        params, faces = load_params(), folder / "made" / "faces"
        make_faces(params, folder / "made")
        masked = max(asked.photos // 4, asked.timed)
        write_samples(folder / "photos" / "masked", masked, 64, 0, masked=True)
        write_samples(folder / "photos" / "bare", asked.photos - masked, 64, 1, masked=False)
        for part, count in (("few", 128), ("part", asked.timed)):
            (folder / part).mkdir()
            for path in sorted((folder / "photos" / "masked").iterdir())[:count]:
                shutil.copy(path, folder / part)
        if not asked.only_timed:
            check(params, faces, folder / "photos", folder)
        compare(params, faces, folder / "part", folder)


if __name__ == "__main__":
    main()
