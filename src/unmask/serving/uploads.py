"""The folder of the page's uploads and answers, which are deleted after a while.

Gradio's own delete_cache misses the files that a session's answers made (gradio 6.31).
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from gradio.processing_utils import save_file_to_cache
from gradio.routes import App
from PIL import Image

from unmask.inference.image_file import COMPRESSION
from unmask.serving.temporary import LockedFolder

KEEP_SECONDS, SWEEP_SECONDS = 600, 60  # that a file is kept, and between two deletions


@cache
def upload_folder() -> Path:
    """This process's folder for uploads and answers, in which gradio then keeps its files.

    It is removed when the server stops, or, after a kill, when the next one starts.
    """
    path = LockedFolder("page").path
    os.environ["GRADIO_TEMP_DIR"] = str(path)
    return path


def keep(content: bytes | np.ndarray, name: str) -> str:
    """Keep a file of an answer, whole at any time.

    Gradio's components write over the file of an equal picture, which may be downloaded meanwhile.

    Args:
        content: the file's bytes, or a picture (H, W, 3) uint8 RGB.
        name: of the file; its suffix is the format of a picture.

    Returns:
        The file's path in the folder of uploads.
    """
    with TemporaryDirectory(dir=upload_folder()) as folder:
        path = Path(folder) / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            Image.fromarray(content).save(path, compress_level=COMPRESSION)  # if it is a PNG
        return save_file_to_cache(path, str(upload_folder()))


def kept_bytes() -> int:
    """Bytes of the uploads and answers that are kept."""
    total = 0
    for path in upload_folder().rglob("*"):
        with suppress(OSError):  # deleted meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total


@asynccontextmanager
async def deleting_uploads(app: App) -> AsyncIterator[None]:
    """Delete files older than KEEP_SECONDS while the server runs, and all of them when it stops."""
    sweeping = asyncio.create_task(_sweep(app))
    try:
        yield
    finally:
        sweeping.cancel()
        shutil.rmtree(upload_folder(), ignore_errors=True)


async def _sweep(app: App) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        deleted = await asyncio.to_thread(_delete_old)
        for known in app.get_blocks().temp_file_sets:
            known -= deleted


def _delete_old() -> set[str]:
    """Delete old files, and folders that have long been empty; returns the files' paths."""
    now, deleted = time.time(), set()
    for path in sorted(upload_folder().rglob("*"), reverse=True):
        with suppress(OSError):  # another upload may replace it now, or fill its folder
            if now - path.stat().st_ctime < KEEP_SECONDS:
                continue
            if path.is_file():
                path.unlink()
                deleted.add(str(path))
            elif not any(path.iterdir()):
                path.rmdir()
    return deleted
