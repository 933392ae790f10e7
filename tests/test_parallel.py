import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import psutil
import pytest

from unmask import parallel
from unmask.parallel import ordered_map, with_progress


def square(number: int) -> int:
    if number == 77:
        raise ValueError("seventy-seven")
    return number * number


def threads(_: int) -> int:
    return cv2.getNumThreads()


@pytest.mark.parametrize("workers", [1, 2])
def test_work_is_yielded_in_order_and_its_errors_pass(workers):
    done = ordered_map(square, iter(range(77)), workers, chunk=5)
    assert list(done) == [n * n for n in range(77)]
    with pytest.raises(ValueError, match="seventy-seven"):
        list(ordered_map(square, iter(range(90)), workers, chunk=5))


def test_no_more_is_read_ahead_than_three_chunks_a_worker():
    read = 0

    def items() -> Iterator[int]:
        nonlocal read
        for read in range(1, 78):
            yield read - 1

    done = ordered_map(square, items(), 2, chunk=2)
    for consumed in range(1, 30):
        assert next(done) == (consumed - 1) ** 2
        assert read - consumed <= 3 * 2 * 2
    done.close()
    assert read < 77


def test_opencv_has_one_thread_in_each_worker():
    assert set(ordered_map(threads, range(8), 2, chunk=2)) == {1}


KILLED = """
import time
from unmask.parallel import ordered_map

if __name__ == "__main__":
    for _ in ordered_map(time.sleep, [0] + 600 * [1], 2, chunk=1):
        print("at work", flush=True)
"""


def test_the_workers_of_a_killed_process_end(tmp_path: Path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        workers = psutil.Process(process.pid).children()
        assert len(workers) >= 2
        process.kill()
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_progress_passes_results_on_and_counts_them(capsys):
    assert list(with_progress(iter("abc"), 3, "faces")) == ["a", "b", "c"]
    assert capsys.readouterr().out.startswith("faces: 3 in ")
    assert list(with_progress(iter(()), 0, "faces")) == []
    assert capsys.readouterr().out.startswith("faces: 0 in ")


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 2), ("20000 100000", 1)])
def test_a_container_s_quota_limits_the_cores(quota, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(parallel.os, "sched_getaffinity", lambda _: set(range(64)))
    assert parallel._cores() == 64
    for text, expected in (("max 100000", 64), (quota, cores)):
        (tmp_path / "cpu.max").write_text(text)
        assert parallel._cores() == expected
