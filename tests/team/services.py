"""PostgreSQL and an S3 server on loopback, started without root rights or containers.

`python tests/team/services.py` starts both, prints the settings that point the project at them and
stops them on Ctrl-C.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3
import botocore.client
import psutil
import psycopg2

HOST = "127.0.0.1"
DATABASES = ("mlflow", "prefect")
BUCKETS = ("mlflow", "dvc")
_DEADLINE_SECONDS = 120


def free_port() -> int:
    """A TCP port of loopback that nothing listens on."""
    with socket.socket() as trial:
        trial.bind((HOST, 0))
        return trial.getsockname()[1]


def until(answers: Callable[[], object], what: str, seconds: float = _DEADLINE_SECONDS) -> object:
    """Ask again until the answer is true, and return it.

    Raises:
        TimeoutError: naming what was waited for.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := answers():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what}: not within {seconds} s")


def binaries() -> Path | None:
    """The folder of initdb and postgres, also where Debian keeps it, which is on no PATH."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda path: float(path.parts[-3]), default=None)
    return newest and newest.parent


class Postgres:
    """A PostgreSQL server with its databases in a folder of its own.

    PostgreSQL refuses to run as root, so that root starts it as user `nobody`.
    """

    def __init__(self, folder: Path) -> None:
        self.port, self._data, self._log = free_port(), folder / "data", folder / "postgres.log"
        self._user = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        subprocess.run(
            [
                *(binaries() / "initdb", "-D", self._data, "-U", "unmask", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._user,
        )
        self.start()
        for name in DATABASES:
            connection = self._connect()
            connection.autocommit = True
            connection.cursor().execute(f"create database {name}")
            connection.close()

    def _connect(self, database: str = "postgres") -> psycopg2.extensions.connection:
        return psycopg2.connect(self.url(database))

    def url(self, database: str, driver: str = "postgresql") -> str:
        """The address of a database, e.g. with driver postgresql+asyncpg."""
        return f"{driver}://unmask@{HOST}:{self.port}/{database}"

    def query(self, database: str, text: str) -> list[tuple]:
        """The rows of a query."""
        with self._connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return cursor.fetchall()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"postgres ended: {self._log.read_text()[-500:]}")
        try:
            self._connect().close()
        except psycopg2.OperationalError:  # not yet, or still recovering
            return False
        return True

    def start(self) -> None:
        """Start it, again after `kill`, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(binaries() / "postgres", "-D", self._data, "-p", str(self.port)),
                    *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._data,
                start_new_session=True,
                **self._user,
            )
        until(self._answers, "PostgreSQL answers")

    def kill(self) -> None:
        """Kill it and every process of it at once, as a power cut would."""
        whole = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for process in whole:
            if process.is_running():
                process.kill()
        self._process.wait()
        psutil.wait_procs(whole, timeout=_DEADLINE_SECONDS)

    def stop(self) -> None:
        """Stop it at once, connections or not."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_DEADLINE_SECONDS)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that is gone afterwards, with its data."""
    with tempfile.TemporaryDirectory(prefix="unmask-postgres-") as folder:
        server = Postgres(Path(folder))
        try:
            yield server
        finally:
            server.stop()


def client_of(settings: dict[str, str]) -> botocore.client.BaseClient:
    """A client of the S3 server that such settings name."""
    return boto3.client(
        "s3",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        region_name=settings["AWS_DEFAULT_REGION"],
        aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """An S3 server with its buckets; gives the settings that clients need to reach it."""
    address = f"http://{HOST}:{(port := free_port())}"
    settings = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "unmask",
        "AWS_SECRET_ACCESS_KEY": "unmask-secret",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )

        def listens() -> bool:
            if process.poll() is not None:
                log.seek(0)
                raise RuntimeError(f"the S3 server ended: {log.read().decode()[-500:]}")
            with socket.socket() as trial:
                return trial.connect_ex((HOST, port)) == 0

        try:
            until(listens, "the S3 server listens")
            for bucket in BUCKETS:
                client_of(settings).create_bucket(Bucket=bucket)
            yield settings
        finally:
            process.terminate()
            process.wait(_DEADLINE_SECONDS)


def team_settings(database: Postgres, store: dict[str, str]) -> dict[str, str]:
    """The environment that makes `make up` use both in place of the project's own files."""
    return {
        **store,
        "MLFLOW_BACKEND_STORE_URI": database.url("mlflow"),
        "MLFLOW_ARTIFACTS_DESTINATION": "s3://mlflow",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database.url("prefect", "postgresql+asyncpg"),
    }


def main() -> None:
    """Start both, print the settings, and stop them on Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), postgres() as running, object_store() as reached:
        for name, value in team_settings(running, reached).items():
            print(f"export {name}={value}", flush=True)
        while True:
            signal.pause()


if __name__ == "__main__":
    main()
