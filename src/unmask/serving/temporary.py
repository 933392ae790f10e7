"""Temporary folders that do not outlive the server's process for long, however it ended."""

import os
import shutil
from pathlib import Path
from tempfile import gettempdir

import psutil


def prefix_of(kind: str) -> str:
    """A prefix for this process's folders; removes those of processes that are gone."""
    for left in Path(gettempdir()).glob(f"unmask-{kind}-*-*"):
        process = left.name.split("-")[2]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    return f"unmask-{kind}-{os.getpid()}-"
