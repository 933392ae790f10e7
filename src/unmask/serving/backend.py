"""One version's `mlflow models serve`, as a process of its own."""

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
from unmask.serving.temporary import OwnFolder

_STARTS_WITHIN, _ENDS_WITHIN = 300, 5  # seconds
_OURS = re.compile(r"^unmask\.[\w.]+: (.+)$")  # the last line of an UnmaskError's stack trace
_ERROR = re.compile(r"^[\w.]+(Error|Exception): ")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


class BackendError(UnmaskError):
    """A model server that does not start or does not work; says what it said last."""


class BrokenOffError(Exception):
    """The model server ended while it was asked."""


def _end_with_parent() -> None:
    """In the new process: end when the parent does, however it ends."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Backend:
    """A running model server of one registered version.

    Args:
        version: its number.
        seconds: that an answer may take; a server that takes longer is ended.
    """

    def __init__(self, name: str, version: str, seconds: float) -> None:
        self.name, self.version = name, version
        self._folder = OwnFolder("serve")
        self._log = self._folder.path / "log"
        port = _free_port()
        self._client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            timeout=seconds,
            limits=httpx.Limits(max_keepalive_connections=0),  # it may close one as we use it
            trust_env=False,
        )
        self._seconds = seconds
        self._command = (
            *(sys.executable, "-m", "mlflow", "models", "serve", "--env-manager", "local"),
            *("--model-uri", f"models:/{name}/{version}", "--host", "127.0.0.1"),
            *("--port", str(port), "--workers", "1", "--timeout", str(int(2 * seconds))),
        )
        self._process: asyncio.subprocess.Process | None = None
        self._asked, self._idle = 0, asyncio.Event()
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
            async with asyncio.timeout(_STARTS_WITHIN):
                while not await self._answers():
                    if not self.running:
                        raise BackendError(f"version {self.version} ended: {self._last_words()}")
                    await asyncio.sleep(0.2)
        except TimeoutError as error:
            raise BackendError(
                f"version {self.version} did not answer within {_STARTS_WITHIN} seconds."
            ) from error

    async def _answers(self) -> bool:
        try:
            return (await self._client.get("/ping")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _last_words(self) -> str:
        lines = [x for x in self._log.read_text(errors="replace").splitlines() if x.strip()]
        errors = [x for x in lines if _ERROR.match(x) and not x.startswith("Exception: Command")]
        return (errors or lines or ["it said nothing"])[-1]

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._process.returncode is None

    async def ended(self) -> None:
        """Wait until the server's process ends."""
        await self._process.wait()

    @contextmanager
    def asked(self) -> Iterator[None]:
        """While this holds, `drained` waits."""
        self._asked += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._asked -= 1
            if not self._asked:
                self._idle.set()

    async def drained(self) -> None:
        """Wait until nobody waits for an answer."""
        await self._idle.wait()

    async def restore(self, request: bytes) -> bytes:
        """The server's answer, as JSON.

        Raises:
            RefusedError: with the sentence alone, where it answers with an error, or takes too
                long, for which it is ended.
            BrokenOffError: when it ended meanwhile.
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
            with suppress(TimeoutError):  # it loses its connection before it has ended
                await asyncio.wait_for(self.ended(), _ENDS_WITHIN)
            raise BrokenOffError(f"the model's server broke off ({error!r})") from error
        if answer.status_code == httpx.codes.OK:
            return answer.content
        raise refusal_of(answer)

    def _kill(self) -> None:
        """End the server's processes at once; what it was doing is lost."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End the server, which has nothing to save, and leave nothing of it."""
        if self._process is not None:
            self._kill()
            await self._process.wait()
        await self._client.aclose()
        self._folder.remove()


def refusal_of(answer: httpx.Response) -> RefusedError:
    """What to tell of MLflow's error, which may hold a stack trace and the whole input."""
    try:
        document = answer.json()
        trace = document.get("stack_trace", "").strip().splitlines()
    except (ValueError, AttributeError):
        trace = []
    last = trace[-1] if trace else ""
    if ours := _OURS.match(last):
        return RefusedError(400, ours[1])
    reason = last.partition(":")[0] or f"status {answer.status_code}"
    return RefusedError(500, f"the model failed on this picture ({reason}).")
