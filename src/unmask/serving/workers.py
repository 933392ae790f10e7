"""Worker processes that restore for the server."""

from pathlib import Path

from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from unmask.errors import UnmaskError
from unmask.inference.chain import Chain
from unmask.inference.encoded import EncodedRestorer
from unmask.serving.schemas import RefusedError

_loaded: dict[Path, EncodedRestorer] = {}  # in a worker: the version that serves


def _restorer(networks: Path, model: str) -> EncodedRestorer:
    if networks not in _loaded:
        _loaded.clear()  # before the next is loaded: a worker that held two would keep their memory
        _loaded[networks] = EncodedRestorer(Chain.load(networks), model)
    return _loaded[networks]


def _restore(networks: Path, model: str, picture: str, params: dict) -> dict:
    return _restorer(networks, model).restore(picture, "the picture", params)


async def restore(
    networks: Path, model: str, picture: str, params: dict, limiter: CapacityLimiter
) -> dict:
    """Restore a picture in a worker, which is killed where the call is cancelled.

    A worker is started where none is idle, and loads a version at its first picture of it; one that
    ends meanwhile is replaced once.

    Args:
        networks: the folder of the version's networks.
        model: its name and number, for metadata.
        picture: the bytes of an image file as base64.
        params: of `EncodedRestorer.restore`.
        limiter: of the number of workers.

    Returns:
        The answer of `EncodedRestorer.restore`.

    Raises:
        RefusedError: with one sentence, where it is not restored: 400 for a mistake in the request
            or a version that cannot be loaded, 500 for a defect, 503 where two workers ended.
    """
    for _ in range(2):
        try:
            return await to_process.run_sync(
                _restore, networks, model, picture, params, cancellable=True, limiter=limiter
            )
        except BrokenWorkerProcess:
            continue
        except UnmaskError as error:
            raise RefusedError(400, str(error)) from error
        except Exception as error:
            name = type(error).__name__
            raise RefusedError(500, f"the model failed on this picture ({name}).") from error
    raise RefusedError(503, "the model's process ended twice over this; try another picture.")
