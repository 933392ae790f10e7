"""Counts and hashes of photos in one bucket that three workers restore, all of which are killed.

    PYTHONPATH=tests python -m benchmarks.inbox_workers [--photos 600] [--lease 15]

An S3 server, a Prefect server and three projects, as three machines have them, each with a process
of flow `restore_inbox` that is started again whenever it ends. SIGKILL meets each worker twice; one
is stopped for longer than its lease and let go on. The answers are compared with those of one
process that nobody stops.
"""

import argparse
import os
import platform
import signal
import sys
import time
from collections import Counter
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pyarrow.parquet as pq
from project import ROOT, change_params, copy_project
from team.prefect_api import PrefectApi
from team.services import client_of, free_port, object_store

from benchmarks.inbox_kills import alive, kill, wait
from unmask.inbox.storage import Bucket
from unmask.inference.answers import Outputs
from unmask.inference.files import restore_files
from unmask.inference.inputs import Inputs
from unmask.inference.photo import stored_restorer
from unmask.inference.results import RestoreOptions
from unmask.masking.samples import write_samples
from unmask.registry.loading import RELEASE, find_networks

_WORKERS, _KILLS = 3, 2  # kills of each worker
_URL = "s3://photos/inbox"


class Worker:
    """A project of its own, and the process that restores from the common inbox."""

    def __init__(self, folder: Path, environment: dict[str, str], lease: float) -> None:
        self.folder = copy_project(folder)
        inbox = {"url": _URL, "crop": True, "settle_seconds": 0.0, "batch_size": 16}
        change_params(folder, "inbox", lease_seconds=lease, **inbox)
        self._environment = environment
        self.process: psutil.Popen | None = None

    def keep(self) -> None:
        """Start the process unless it lives."""
        if self.process is None or not alive(self.process):
            with (self.folder / "flow.log").open("a") as log:
                self.process = psutil.Popen(
                    [sys.executable, "-m", "flows.inbox"],
                    cwd=self.folder,
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def end(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            kill([self.process])

    def told(self, text: str) -> int:
        """How often the flow's log has a text."""
        return (self.folder / "flow.log").read_text().count(text)


def answered(bucket: Bucket) -> int:
    """Photos whose answers are whole."""
    return sum(path.endswith(".json") for path in bucket.files("restored"))


def main() -> None:
    """Print each kill, and counts and hashes at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--lease", type=float, default=15.0, help="seconds")
    asked = parser.parse_args()
    with TemporaryDirectory() as name, ExitStack() as stack:
        folder, store = Path(name), stack.enter_context(object_store())
        os.environ |= store
        client_of(store).create_bucket(Bucket="photos")
        write_samples(folder / "given", asked.photos, 64, 0, masked=True)
        photos = {path.name: path.read_bytes() for path in sorted((folder / "given").iterdir())}
        bucket = Bucket(_URL)
        for photo, content in photos.items():
            bucket.write(f"new/{photo}", content)
        port = free_port()
        environment = {**os.environ, "PREFECT_HOME": str(folder / "prefect")}
        server = psutil.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env=environment,
            stdout=(folder / "server.log").open("w"),
            stderr=-2,
            start_new_session=True,
        )
        stack.callback(lambda: kill([server, *server.children(recursive=True)]))
        api = PrefectApi(f"http://127.0.0.1:{port}/api")
        wait(api.is_healthy, "the Prefect server's health")
        environment |= {"PREFECT_API_URL": api.url, "PYTHONPATH": str(ROOT / "src")}
        workers = [Worker(folder / f"w{n}", environment, asked.lease) for n in range(_WORKERS)]
        stack.callback(lambda: [worker.end() for worker in workers])
        restore(bucket, workers, asked)
        report(bucket, photos, folder)


def restore(bucket: Bucket, workers: list[Worker], asked: argparse.Namespace) -> None:
    """Restore all photos of the bucket, through kills and a stop."""
    begun, stops = time.monotonic(), len(workers) * _KILLS + 1

    def progressed(goal: int) -> bool:
        for worker in workers:
            worker.keep()
        return answered(bucket) >= goal

    def say(what: str) -> None:
        print(f"{time.monotonic() - begun:.0f} s, {answered(bucket)} answers: {what}", flush=True)

    for stop in range(stops - 1):
        goal = asked.photos * (stop + 1) // (stops + 1)
        wait(lambda goal=goal: progressed(goal), f"answer {goal}")
        workers[stop % len(workers)].end()
        say(f"SIGKILL met worker {stop % len(workers)}")
    goal = asked.photos * stops // (stops + 1)
    wait(lambda: progressed(goal), f"answer {goal}")
    wait(lambda: progressed(0) and bool(mine(bucket, workers[0])), "a batch of worker 0")
    workers[0].process.send_signal(signal.SIGSTOP)
    batches = mine(bucket, workers[0])
    say(f"SIGSTOP met worker 0 at work on {len(batches)} batch")
    wait(lambda: progressed(0) and not batches & mine(bucket, workers[0]), "others to take it over")
    workers[0].process.send_signal(signal.SIGCONT)
    say("others have taken it over; worker 0 goes on")
    wait(lambda: progressed(0) and not bucket.files("new") | bucket.files("work"), "the last photo")
    wait(lambda: not any(alive(worker.process) for worker in workers), "the runs' ends")
    lost = [worker.told("is left to others") for worker in workers]
    say(f"nothing is left; workers told so often that they lost a batch: {lost}")


def mine(bucket: Bucket, worker: Worker) -> set[str]:
    """The batches whose last lease is a worker's."""
    owner = f"{(worker.folder / '.unmask' / 'inbox.owner').read_text()} {platform.node()}".encode()
    last: dict[str, str] = {}
    for path in sorted(bucket.files("work")):
        if "/lease-" in path:
            last[path.split("/")[1]] = path
    found = set()
    for batch, path in last.items():
        try:
            if bucket.read(path) == owner:
                found.add(batch)
        except FileNotFoundError:  # ended meanwhile
            continue
    return found


def report(bucket: Bucket, photos: dict[str, bytes], folder: Path) -> None:
    """Print counts and hashes; exits with a sentence where a photo was lost or repeated."""
    counts = {
        name: len(bucket.files(name))
        for name in ("new", "work", "claims", "restored", "done", "failed")
    }
    print(f"files: {counts}")
    given = Counter(sha256(content).hexdigest() for content in photos.values())
    done = Counter(sha256(bucket.read(path)).hexdigest() for path in bucket.files("done"))
    networks, model = find_networks(RELEASE)
    inputs = Inputs([folder / "given"])
    restorer, workers = stored_restorer(networks, len(inputs.first))
    outputs, options = Outputs(save_masks=True), RestoreOptions(crop=True)
    for answer in restore_files(
        inputs, folder / "alone", restorer, model, outputs=outputs, options=options, workers=workers
    ):
        assert not answer.error, answer.error
    found = {
        path.removeprefix("restored/"): sha256(bucket.read(path)).hexdigest()
        for path in bucket.files("restored")
        if not path.endswith(".json")
    }
    expected = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in (folder / "alone").iterdir()
        if path.suffix != ".json"
    }
    same = Counter(found.values()) == Counter(expected.values())
    rows = sum(
        pq.read_metadata(path).num_rows for path in folder.glob("w*/.unmask/batches/*.parquet")
    )
    print(
        f"{len(photos)} photos given, {len(given)} different; done/ holds the same: "
        f"{done == given}; the {len(found)} pictures are those of one process: {same}; "
        f"the workers recorded {rows} faces"
    )
    whole = counts["restored"] == 3 * len(given) and rows == len(given)
    if done != given or not same or not whole or counts["failed"]:
        sys.exit("the workers lost or repeated photos, or answered otherwise")


if __name__ == "__main__":
    main()
