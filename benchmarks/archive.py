"""An archive of small photos through `unmask restore`: a kill in the middle, memory, the manifest.

    python benchmarks/archive.py [--photos 20000]

One photo in ten shows a mask. SIGKILL meets all processes halfway; the same command goes on. Memory
is what all processes have for themselves (PSS), read every other second.
"""

import argparse
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psutil

from unmask.inference.answers import ANSWER
from unmask.inference.pictures import encode_picture
from unmask.masking.samples import sample

_KINDS = 100  # different faces, each with a mask and without


def write_photos(folder: Path, count: int) -> None:
    """Write so many photos of 64 pixels, no two of the same bytes, a hundred to a folder."""
    faces = [[sample(0, i, 64, masked=masked) for i in range(_KINDS)] for masked in (False, True)]
    for number in range(count):
        picture = faces[number % 10 == 0][number // 10 % _KINDS].copy()
        picture[0, :3] = (number & 255, number >> 8 & 255, number >> 16)
        path = folder / f"{number // 100:04d}" / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_picture(picture))


def memory(process: psutil.Popen) -> float:
    """MB that a process and those it started have for themselves."""
    found = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            found += one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return found / 1e6


def run(folder: Path, until: int | None) -> list[float]:
    """Restore, and kill everything after so many answers; returns the memory through it, in MB."""
    options = ["-o", "out", "-r", "--crop", "--skip-existing", "--manifest", "manifest.parquet"]
    read, answers = [], 0
    begun = shown = time.monotonic()
    process = psutil.Popen(
        [str(Path(sys.executable).with_name("unmask")), "restore", "in", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for answers, _ in enumerate(process.stdout, 1):
        if answers == until:
            for one in [*process.children(recursive=True), process]:
                one.send_signal(signal.SIGKILL)
            break
        if time.monotonic() - shown > 2:
            shown = time.monotonic()
            read.append(memory(process))
    _, told = process.communicate()
    if until is None and process.returncode:
        sys.exit(f"the second run failed: {told[-2000:]}")
    print(f"{answers} photos in {time.monotonic() - begun:.0f} s", flush=True)
    return read


def main() -> None:
    """Print times, memory and what the manifest says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=20_000)
    count = parser.parse_args().photos
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder / "in", count)
        memories = [run(folder, count // 2), run(folder, None)]
        for which, read in zip(("first", "second"), memories, strict=True):
            tenths = [read[len(read) * i // 10] for i in (1, 3, 5, 7, 9)]
            print(f"memory of the {which} run, MB: {', '.join(f'{one:.0f}' for one in tenths)}")
        assert not list(folder.glob(".*")), "something half-written is left"
        print(
            duckdb.sql(
                "select status, before, count(*) as photos, count(distinct sha256) as different, "
                f"round(sum(seconds)) as seconds from '{folder / 'manifest.parquet'}' "
                "group by all order by all"
            )
        )
        rows = duckdb.sql(f"select input, sha256 from '{folder / 'manifest.parquet'}'").fetchall()
        whole = sum(
            sha256((folder / path).read_bytes()).hexdigest() == key
            and (folder / "out" / Path(path).parent.name / f"{Path(path).stem}{ANSWER}").is_file()
            for path, key in rows
        )
        print(f"{len(rows)} rows, of which {whole} have the photo's hash and its answer's file")
        if whole != count:
            sys.exit("photos are lost")


if __name__ == "__main__":
    main()
