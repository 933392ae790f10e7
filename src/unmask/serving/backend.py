"""The model server of one version: `mlflow models serve` as a process of its own."""

import asyncio
import ctypes
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from unmask.errors import UnmaskError
from unmask.project import tracking_uri
from unmask.serving.schemas import RefusedError
from unmask.serving.temporary import LockedFolder

_START_TIMEOUT, _END_TIMEOUT = 300, 5  # seconds
_UNMASK_ERROR = re.compile(r"^unmask\.[\w.]+: (.+)$")  # the last line of its stack trace
_ERROR = re.compile(r"^[\w.]+(Error|Exception): ")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class BackendError(UnmaskError):
    """A model server that does not start or does not work; quotes the last error of its log."""


class BackendLostError(Exception):
    """The model server ended while a request waited for its answer."""


def _end_with_parent() -> None:
    """Make this process, which is about to become the server, end when its parent does."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Backend:
    """The model server of one registered version, on a free port of loopback.

    Args:
        name: the registered model's.
        version: the version's number.
        seconds: that an answer may take, above 0; a server that takes longer is ended.
    """

    def __init__(self, name: str, version: str, seconds: float) -> None:
        self.name, self.version = name, version
        self._folder = LockedFolder("serve")
        self._log = self._folder.path / "log"
        port = _free_port()
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            timeout=seconds,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server may close idle ones
            trust_env=False,
        )
        self._seconds = seconds
        self._command = (
            *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
            *("--model-uri", f"models:/{name}/{version}", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1", "--timeout", str(int(2 * seconds))),
        )
        self._process: asyncio.subprocess.Process | None = None
        self._requests, self._idle = 0, asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            BackendError: when it ends, or does not answer in time.
        """
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": tracking_uri(),
            "TMPDIR": str(self._folder.path),
            "UVICORN_LOG_LEVEL": "warning",
        }
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                while not await self._answers():
                    if not self.running:
                        raise BackendError(f"version {self.version} ended: {self._last_error()}")
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise BackendError(
                f"version {self.version} did not answer within {_START_TIMEOUT} seconds."
            ) from error

    async def _answers(self) -> bool:
        try:
            return (await self._client.get("/ping")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _last_error(self) -> str:
        """The last error in the log, else its last line."""
        lines = [x for x in self._log.read_text(errors="replace").splitlines() if x.strip()]
        errors = [x for x in lines if _ERROR.match(x) and not x.startswith("Exception: Command")]
        return (errors or lines or ["it said nothing"])[-1]

    @property
    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"the server of version {self.version} was not started")
        return self._process

    @property
    def running(self) -> bool:
        """Whether the server's process, which was started, has not ended."""
        return self._started.returncode is None

    async def ended(self) -> None:
        """Wait until the server's process ends."""
        await self._started.wait()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep `drained` waiting for as long as this is held."""
        self._requests += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self._idle.set()

    async def drained(self) -> None:
        """Wait until the server is not in use."""
        await self._idle.wait()

    async def restore(self, request: bytes) -> bytes:
        """Send a request to the server.

        Args:
            request: the JSON of `RestoreRequest.as_json`.

        Returns:
            The answer's JSON.

        Raises:
            RefusedError: with one sentence, where the server answers with an error, or takes too
                long, for which it is ended.
            BackendLostError: when the server ended meanwhile.
        """
        try:
            answer = await self._client.post(
                "/invocations", content=request, headers={"Content-Type": "application/json"}
            )
        except httpx.TimeoutException as error:
            self._kill()
            raise RefusedError(
                413,
                f"this takes more than {self._seconds:g} seconds: send fewer or smaller pictures, "
                "or ask for fewer samples.",
            ) from error
        except httpx.TransportError as error:
            with suppress(TimeoutError):  # the connection breaks before the process has ended
                await asyncio.wait_for(self.ended(), _END_TIMEOUT)
            raise BackendLostError(f"the model's server broke off ({error!r})") from error
        if answer.status_code == httpx.codes.OK:
            return answer.content
        raise refusal_from(answer)

    def _kill(self) -> None:
        """Kill the server's process group; requests that it is answering are lost."""
        with suppress(ProcessLookupError):
            os.killpg(self._started.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Kill the server, if it was started, and remove its files."""
        if self._process is not None:
            self._kill()
            await self._process.wait()
        await self._client.aclose()
        self._folder.remove()


def refusal_from(answer: httpx.Response) -> RefusedError:
    """One sentence for an error of MLflow's server, which may hold a stack trace and the input.

    A mistake in the request has the HTTP status 400, a defect 500.
    """
    try:
        document = answer.json()
        trace = document.get("stack_trace", "").strip().splitlines()
    except (ValueError, AttributeError):
        trace = []
    last = trace[-1] if trace else ""
    if known := _UNMASK_ERROR.match(last):
        return RefusedError(400, known[1])
    reason = last.partition(":")[0] or f"status {answer.status_code}"
    return RefusedError(500, f"the model failed on this picture ({reason}).")
