"""What so many photos a minute need, by a simulation that is checked against what two cores do.

    PYTHONPATH=tests python -m benchmarks.capacity [--photos 240] [--workers 2]

1. Measures what an inbox's workers of one thread spend on a photo, with as many at work as there
   will be: restoring, and requests to the bucket by kind, in batches of 16.
2. Simulates that the same workers empty an inbox of other photos, has them do it, and compares.
3. Simulates photos that come at random (Poisson) at 10, 1,000 and 100,000 a minute, a share of
   which shows a mask: the workers for which 95 in 100 photos are answered within a minute.

The bucket is an S3 server of this machine; `--request` is the seconds of a request to a real one.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, quantiles
from tempfile import TemporaryDirectory

import simpy
from team.services import client_of, object_store

from unmask.inbox.storage import Bucket
from unmask.masking.samples import write_samples

_WORKER = Path(__file__).with_name("capacity_worker.py")
_BATCH = 16  # photos
_RATES = (10, 1_000, 100_000)  # photos a minute


@dataclass(frozen=True)
class Costs:
    """What a worker spends.

    Attributes:
        photos: seconds of restoring each of the photos that were measured, with encoding.
        requests: of storage for a photo, by kind.
        request: seconds of each, by kind.
        megabytes: that go to and from the bucket for a photo.
    """

    photos: list[float]
    requests: dict[str, float]
    request: dict[str, float]
    megabytes: float

    @property
    def storage(self) -> float:
        """Seconds of requests for a photo."""
        return sum(count * self.request[kind] for kind, count in self.requests.items())


def work(url: str, count: int, folder: Path) -> list[dict]:
    """Have so many workers empty an inbox, begun together; returns what each says."""
    started = [
        subprocess.Popen(
            [sys.executable, str(_WORKER), url, str(_BATCH)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0]) for process in started]


def fill(url: str, photos: Path, first: int, count: int) -> None:
    """Put some of the photos into an inbox."""
    bucket = Bucket(url)
    for path in sorted(photos.iterdir())[first : first + count]:
        bucket.write(f"new/{path.name}", path.read_bytes())


def measured(told: list[dict]) -> Costs:
    """The costs by what workers say."""
    photos = [seconds for one in told for seconds in one["photos"]]
    requests, seconds = Counter(), Counter()
    for one in told:
        requests.update(one["requests"])
        seconds.update(one["seconds"])
    return Costs(
        photos,
        {kind: number / len(photos) for kind, number in requests.items()},
        {kind: seconds[kind] / number for kind, number in requests.items()},
        sum(one["bytes"] for one in told) / len(photos) / 1e6,
    )


def emptied(costs: Costs, photos: int, workers: int, seed: int) -> float:
    """Seconds in which workers empty an inbox, simulated: each takes batch after batch."""
    draw, environment = random.Random(seed), simpy.Environment()
    left = [min(_BATCH, photos - first) for first in range(0, photos, _BATCH)]

    def worker() -> Iterator[simpy.Event]:
        while left:
            size = left.pop(0)
            restoring = sum(draw.choice(costs.photos) for _ in range(size))
            yield environment.timeout(restoring + size * costs.storage)

    for _ in range(workers):
        environment.process(worker())
    environment.run()
    return environment.now


def waits(
    costs: Costs, rate: float, workers: int, masked: float, bare: float, minutes: float
) -> list[float]:
    """Seconds from each photo's arrival to its answer, simulated through so many minutes.

    Args:
        costs: of a worker.
        rate: photos a minute.
        workers: that take a photo as soon as one is free.
        masked: share of photos that show a mask, whose restoring is what was measured.
        bare: seconds of a photo without.
        minutes: of arrivals.
    """
    draw, environment = random.Random(1), simpy.Environment()
    free = simpy.Resource(environment, workers)
    found: list[float] = []

    def photo() -> Iterator[simpy.Event]:
        came = environment.now
        with free.request() as turn:
            yield turn
            seconds = draw.choice(costs.photos) if draw.random() < masked else bare
            yield environment.timeout(costs.storage + seconds)
        found.append(environment.now - came)

    def arrivals() -> Iterator[simpy.Event]:
        while environment.now < minutes * 60:
            yield environment.timeout(draw.expovariate(rate / 60))
            environment.process(photo())

    environment.process(arrivals())
    environment.run()
    return found


def needed(costs: Costs, rate: float, masked: float, bare: float) -> tuple[int, float]:
    """The fewest workers for which 95 in 100 photos are answered within a minute, and their p95."""
    each = masked * mean(costs.photos) + (1 - masked) * bare
    busy = rate / 60 * (each + costs.storage)
    workers = max(1, math.ceil(busy))
    minutes = max(5.0, min(60.0, 3_000 / rate))
    while True:
        late = quantiles(waits(costs, rate, workers, masked, bare, minutes), n=20)[-1]
        if late <= 60:
            return workers, late
        workers += max(1, workers // 100)


def report(costs: Costs, asked: argparse.Namespace) -> None:
    """Print what each rate needs."""
    if asked.request:
        costs = replace(costs, request=dict.fromkeys(costs.request, asked.request))
    requests = sum(costs.requests.values())
    print("| photos a minute | workers of one core | p95, s | S3 requests a second | MB a second |")
    print("|---|---|---|---|---|")
    for rate in _RATES:
        workers, late = needed(costs, rate, asked.masked, asked.bare)
        print(
            f"| {rate:,} | {workers:,} | {late:.1f} | {rate / 60 * requests:,.1f} | "
            f"{rate / 60 * costs.megabytes:,.2f} |"
        )


def main() -> None:
    """Print the costs, the check of the simulation, and what it says of other rates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=240, help="to empty an inbox of")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--masked", type=float, default=1.0, help="share of photos with a mask")
    parser.add_argument("--bare", type=float, default=0.1, help="seconds of one without")
    parser.add_argument("--request", type=float, default=0.02, help="seconds; 0 for those measured")
    asked = parser.parse_args()
    with TemporaryDirectory() as name, object_store() as store:
        folder = Path(name)
        client_of(store).create_bucket(Bucket="photos")
        os.environ |= store
        half = asked.photos // 2
        write_samples(folder / "photos", half + asked.photos, 256, 0, masked=True)
        fill("s3://photos/first", folder / "photos", 0, half)
        costs = measured(work("s3://photos/first", asked.workers, folder))
        kinds = ", ".join(f"{kind} {count:.1f}" for kind, count in sorted(costs.requests.items()))
        print(
            f"restoring a photo: mean {mean(costs.photos):.3f} s, p95 "
            f"{quantiles(costs.photos, n=20)[-1]:.3f} s; requests a photo: {kinds}, "
            f"{costs.storage:.3f} s together; {costs.megabytes:.3f} MB"
        )
        fill("s3://photos/second", folder / "photos", half, asked.photos)
        simulated = mean(emptied(costs, asked.photos, asked.workers, seed) for seed in range(20))
        told = work("s3://photos/second", asked.workers, folder)
        real = max(one["worked"] for one in told)
        restored = sum(len(one["photos"]) for one in told)
        print(
            f"{restored} photos by {asked.workers} workers: {real:.1f} s; simulated "
            f"{simulated:.1f} s, {simulated / real:.3f} of it"
        )
        report(costs, asked)


if __name__ == "__main__":
    main()
