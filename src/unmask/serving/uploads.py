"""Where the page's uploads and answers lie, and that they do not stay.

Gradio's own delete_cache forgets the files that a session's answers made (gradio 6.31).
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path

from gradio.routes import App

from unmask.serving.temporary import OwnFolder

KEPT, SWEPT = 600, 60  # seconds that a file is kept, and between two sweeps


@cache
def folder() -> Path:
    """The process's own folder, which gradio writes into; removed when the server stops, or, where
    it was killed, when the next one starts."""
    made = OwnFolder("page").path
    os.environ["GRADIO_TEMP_DIR"] = str(made)
    return made


@asynccontextmanager
async def forgotten(app: App) -> AsyncIterator[None]:
    """While the server runs, removes files of an age of KEPT; when it stops, all of them."""
    sweeping = asyncio.create_task(_sweep(app))
    try:
        yield
    finally:
        sweeping.cancel()
        shutil.rmtree(folder(), ignore_errors=True)


async def _sweep(app: App) -> None:
    while True:
        await asyncio.sleep(SWEPT)
        gone = await asyncio.to_thread(_remove_old)
        for known in app.get_blocks().temp_file_sets:
            known -= gone


def _remove_old() -> set[str]:
    """The old files, which are removed, and so are folders that long were empty."""
    now, gone = time.time(), set()
    for path in sorted(folder().rglob("*"), reverse=True):
        with suppress(OSError):  # another upload may replace it now, or fill its folder
            if now - path.stat().st_ctime < KEPT:
                continue
            if path.is_file():
                path.unlink()
                gone.add(str(path))
            elif not any(path.iterdir()):
                path.rmdir()
    return gone
