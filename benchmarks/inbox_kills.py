"""Counts and hashes of photos restored by a deployment whose worker is killed three times.

    python benchmarks/inbox_kills.py FOLDER [--interval 20]

A real Prefect server, process work pool, worker and interval schedule in a temporary folder.
SIGKILL meets the worker and its flow runs, then the worker alone, then all again, after a quarter,
a half and three quarters of the photos of FOLDER, which show one face each; a new worker is started
each time. The answers are compared with those of a process that nobody kills.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
from ruamel.yaml import YAML

from unmask.config.profiles import use_profile
from unmask.inference.answers import Outputs
from unmask.inference.chain import Chain
from unmask.inference.files import restore_files
from unmask.inference.inputs import Inputs
from unmask.inference.photo import PhotoRestorer
from unmask.inference.results import RestoreOptions
from unmask.registry.loading import RELEASE, find_networks

_ROOT = Path(__file__).parents[1]
_KILLS = ("worker and flow runs", "worker alone", "worker and flow runs")
_DEADLINE = 1200  # seconds


class Scene:
    """A project in a folder, with a Prefect server and a worker of its own."""

    def __init__(self, folder: Path, interval: int, stack: ExitStack) -> None:
        self.folder, self.inbox, self._stack = folder, folder / "data" / "inbox", stack
        (folder / "flows").symlink_to(_ROOT / "flows")
        shutil.copy(_ROOT / "dvc.yaml", folder)
        use_profile("cpu", _ROOT / "conf", folder / "params.yaml")
        yaml = YAML()
        tree = yaml.load((folder / "params.yaml").read_text())
        tree["inbox"].update(crop=True, settle_seconds=1.0)
        with (folder / "params.yaml").open("w") as file:
            yaml.dump(tree, file)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self.api = f"http://127.0.0.1:{port}/api"
        self._environment = {
            **os.environ,
            "PREFECT_HOME": str(folder / "prefect"),
            "PREFECT_API_URL": self.api,
            "PYTHONPATH": str(_ROOT / "src"),
        }
        self.start("server", "start", "--port", port)
        wait(self._healthy, "the server's health")
        self.prefect("work-pool", "create", "unmask", "--type", "process")
        deploy = ("--no-prompt", "deploy", "flows/inbox.py:restore_inbox", "-n", "restore-inbox")
        self.prefect(*deploy, "-p", "unmask", "--interval", str(interval))

    def prefect(self, *command: str) -> None:
        """Run a command of Prefect to its end."""
        subprocess.run(
            [sys.executable, "-m", "prefect", *command],
            cwd=self.folder,
            env=self._environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start(self, *command: str) -> psutil.Process:
        """Start a command of Prefect, which is killed at the end with all its children."""
        with (self.folder / f"{command[0]}.log").open("a") as log:
            started = psutil.Popen(
                [sys.executable, "-m", "prefect", *command],
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._stack.callback(lambda: kill([started, *children(started)]))
        return started

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.api}/health").is_success
        except httpx.TransportError:
            return False

    def runs(self) -> list[dict]:
        """The deployment's flow runs that are not yet to come."""
        found = httpx.post(f"{self.api}/flow_runs/filter", json={"sort": "START_TIME_ASC"}).json()
        return [run for run in found if run["state_type"] != "SCHEDULED"]

    def answered(self) -> int:
        """Photos whose answers are whole."""
        return len(list((self.inbox / "restored").glob("*.json")))

    def left(self) -> int:
        """Photos that are neither restored nor set aside."""
        files = (path for name in ("new", "work") for path in (self.inbox / name).rglob("*.png"))
        return sum(path.is_file() for path in files)


def wait(until: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + _DEADLINE
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {_DEADLINE} seconds")
        time.sleep(0.1)


def children(process: psutil.Process) -> list[psutil.Process]:
    """All that a process started and that lives."""
    return process.children(recursive=True) if alive(process) else []


def alive(process: psutil.Process) -> bool:
    """Whether it runs, and does not only wait for its parent to take note of its end."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL, in no order; those that have ended are passed over."""
    for process in processes:
        if alive(process):
            process.send_signal(signal.SIGKILL)
    wait(lambda: not any(map(alive, processes)), "the end of killed processes")


def main() -> None:
    """Print each kill, how long until the next answer, and counts and hashes at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--interval", type=int, default=20, help="seconds")
    asked = parser.parse_args()
    photos = {path.name: path.read_bytes() for path in sorted(asked.folder.glob("*.png"))}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        scene = Scene(Path(folder), asked.interval, stack)
        (scene.inbox / "new").mkdir(parents=True)
        for name, content in photos.items():
            (scene.inbox / "new" / name).write_bytes(content)
        begun = time.monotonic()
        worker, orphans = scene.start("worker", "start", "--pool", "unmask"), []
        stack.callback(lambda: kill(orphans))
        for number, what in enumerate(_KILLS, 1):
            goal = len(photos) * number // (len(_KILLS) + 1)
            wait(lambda goal=goal: scene.answered() >= goal, f"answer {goal}")
            runs = children(worker)
            kill([worker] if what == "worker alone" else [worker, *runs, *orphans])
            orphans = [process for process in (*runs, *orphans) if alive(process)]
            before, at = scene.answered(), time.monotonic()
            worker = scene.start("worker", "start", "--pool", "unmask")
            wait(lambda before=before: scene.answered() > before, "the next answer")
            print(
                f"{at - begun:.0f} s: SIGKILL met the {what} at {before} answers; "
                f"{len(orphans)} of its processes live on; "
                f"next answer after {time.monotonic() - at:.1f} s",
                flush=True,
            )
        wait(lambda: not scene.left(), "the last photo")
        print(f"{time.monotonic() - begun:.0f} s: nothing is left")
        wait(lambda: not any(r["state_type"] == "RUNNING" for r in scene.runs()), "the last run")
        report(scene, photos, Path(folder) / "unkilled")


def report(scene: Scene, photos: dict[str, bytes], out: Path) -> None:
    """Print counts and hashes; the answers expected are written to `out`."""
    print("flow runs:", dict(Counter(run["state_name"] for run in scene.runs())))
    for folder in ("new", "work", "restored", "done", "failed"):
        files = [path for path in (scene.inbox / folder).rglob("*") if path.is_file()]
        print(f"{folder}/: {len(files)} files")
    given = Counter(sha256(content).hexdigest() for content in photos.values())
    done = Counter(sha256(p.read_bytes()).hexdigest() for p in (scene.inbox / "done").iterdir())
    print(
        f"{len(photos)} photos given, {len(given)} different; done/ holds the same: {done == given}"
    )
    networks, model = find_networks(RELEASE)
    restorer = PhotoRestorer(Chain.load(networks))
    inputs = Inputs([scene.inbox / "done"])
    outputs = Outputs(save_masks=True)
    options = RestoreOptions(crop=True)
    list(restore_files(inputs, out, restorer.restore, model, outputs=outputs, options=options))
    digests = [digest(folder) for folder in (scene.inbox / "restored", out)]
    print(f"SHA-256 of all answers: {digests[0]}\nof a run never killed:  {digests[1]}")
    if done != given or digests[0] != digests[1]:
        sys.exit("the inbox lost or repeated photos, or answered otherwise")


def digest(folder: Path) -> str:
    """SHA-256 of a folder's pictures and their names; the JSON also names the photo."""
    files = sorted(path for path in folder.iterdir() if path.suffix != ".json")
    parts = (part for path in files for part in (path.name.encode(), path.read_bytes()))
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest()


if __name__ == "__main__":
    main()
