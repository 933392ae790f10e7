"""Pictures a second of one model server, by requests at the same time and pictures a request.

    python benchmarks/serve_batching.py [--pictures 24] [--side 256]

Runs in a project: the champion is asked, or the released weights where there is none. It decides
what the front does: how many requests it passes on at the same time, and whether gathering several
into one would help.
"""

import argparse
import asyncio
import base64
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from unmask.masking.samples import write_samples
from unmask.registry.versions import NAME
from unmask.serving.backend import Backend
from unmask.serving.schemas import RestoreRequest
from unmask.serving.supervisor import version_to_serve


async def _rate(backend: Backend, pictures: list[str], at_once: int, together: int) -> float:
    questions = [
        RestoreRequest(tuple(pictures[i : i + together]), {"crop": True}).as_json()
        for i in range(0, len(pictures), together)
    ]
    turns = asyncio.Semaphore(at_once)

    async def ask(request: bytes) -> None:
        async with turns:
            await backend.restore(request)

    start = time.perf_counter()
    await asyncio.gather(*map(ask, questions))
    return len(pictures) / (time.perf_counter() - start)


async def _measure(count: int, side: int) -> None:
    backend = Backend(NAME, version_to_serve(), 600)
    with TemporaryDirectory() as name:
        write_samples(Path(name), count, side, 7, masked=True)
        pictures = [
            base64.b64encode(file.read_bytes()).decode() for file in sorted(Path(name).iterdir())
        ]
    try:
        await backend.start()
        await _rate(backend, pictures[:4], 1, 1)
        for at_once, together in ((1, 1), (2, 1), (4, 1), (1, 4), (1, 8), (1, 1)):
            rate = await _rate(backend, pictures, at_once, together)
            print(f"{at_once} at once, {together} a request: {rate:.2f} a second", flush=True)
    finally:
        await backend.stop()


def main() -> None:
    """Print a line for each way of asking; the first comes last once more."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--side", type=int, default=256)
    asked = parser.parse_args()
    asyncio.run(_measure(asked.pictures, asked.side))


if __name__ == "__main__":
    main()
