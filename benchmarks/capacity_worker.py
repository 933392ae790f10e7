"""A worker of an inbox that says what it spends, for `benchmarks.capacity`.

    python benchmarks/capacity_worker.py URL BATCH

It says that it is ready, and begins when a line comes. It does what flow `restore_inbox` does with
one thread, and prints JSON: seconds of restoring each photo, of all, and requests to the storage
and their seconds by kind.
"""

import json
import sys
import time
import uuid
from collections import Counter
from typing import Any

from unmask.inbox.leases import Leases
from unmask.inbox.queue import BatchProcessor, Restorer, claim, waiting_photos
from unmask.inbox.storage import Bucket, storage_of
from unmask.inference.chain import Chain
from unmask.inference.photo import PhotoRestorer
from unmask.monitoring.summaries import summarise
from unmask.networks import RELEASED

_KINDS = {
    "find": "list",
    "pipe_file": "put",
    "cat_file": "get",
    "cp_file": "copy",
    "rm_file": "delete",
}


class Counted:
    """A file system whose requests are counted and timed."""

    def __init__(self, files: Any) -> None:
        self._files = files
        self.counts: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self.bytes = 0

    def __getattr__(self, name: str) -> Any:
        call, kind = getattr(self._files, name), _KINDS[name]

        def counted(*arguments: Any, **options: Any) -> Any:
            begun = time.monotonic()
            try:
                answer = call(*arguments, **options)
            finally:
                self.counts[kind] += 1
                self.seconds[kind] += time.monotonic() - begun
            sizes = (len(one) for one in (*arguments, answer) if isinstance(one, bytes))
            self.bytes += sum(sizes)
            return answer

        return counted


def main() -> None:
    """Work until the inbox is empty."""
    url, size = sys.argv[1], int(sys.argv[2])
    storage = storage_of(url)
    assert isinstance(storage, Bucket)
    storage._files = files = Counted(storage._files)
    chain = Chain.load(RELEASED, 1)
    restorer, photos = PhotoRestorer(chain), []

    def restore(picture: Any) -> Any:
        return restorer.restore(picture)

    def timed(raw_call: Any) -> Any:
        def call(*arguments: Any) -> Any:
            begun, before = time.monotonic(), sum(files.seconds.values())
            answer = raw_call(*arguments)
            photos.append(time.monotonic() - begun - (sum(files.seconds.values()) - before))
            return answer

        return call

    leases = Leases(storage, uuid.uuid4().hex, 120.0)
    model = Restorer(
        restore, "m", lambda picture, done: summarise(picture, done, chain), lambda *_: None
    )
    processor = BatchProcessor(storage, model)
    processor._restore = timed(processor._restore)
    print("ready", flush=True)
    sys.stdin.readline()
    begun = time.monotonic()
    while waiting := waiting_photos(storage, 0.0, time.time() + 60):
        before = len(photos)
        for first in range(0, len(waiting), size):
            lease = leases.take(uuid.uuid4().hex)
            with lease:
                claim(storage, waiting[first : first + size], lease, leases)
                processor.process(lease)
        if len(photos) == before:
            break
    worked = time.monotonic() - begun
    told = {"photos": photos, "requests": files.counts, "seconds": files.seconds}
    print(json.dumps({**told, "bytes": files.bytes, "worked": worked}))


if __name__ == "__main__":
    main()
