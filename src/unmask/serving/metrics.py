"""What Prometheus asks: requests, seconds, restored faces, the model, drift, the last training."""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unmask.errors import UnmaskError
from unmask.monitoring.ledger import Ledger
from unmask.project import find_root
from unmask.registry.versions import list_versions

_PATHS = re.compile(r"/(invocations|restore|version|metrics|health(/live|/ready)?)$")
_ASK_SECONDS = 60.0  # between two questions to the registry, which may be slow
_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)  # seconds


class Metrics:
    """The figures of one server.

    Attributes:
        waiting: requests that are read, wait or are being answered.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry}
        self._requests = Counter(
            "unmask_http_requests", "Requests by path and status.", ["path", "status"], **own
        )
        self._seconds = Histogram(
            "unmask_http_request_seconds", "Time to the end of the answer.", ["path"],
            buckets=_BUCKETS, **own,
        )  # fmt: skip
        self._faces = Counter("unmask_faces", "Faces by what became of them.", ["status"], **own)
        self.waiting = Gauge("unmask_requests_waiting", "Requests at work or in the queue.", **own)
        self._registry.register(_Loop())  # type: ignore[arg-type]

    def count_faces(self, faces: Iterable[dict]) -> None:
        """Count the faces of an answer by their status."""
        for face in faces:
            self._faces.labels(face["status"]).inc()

    def text(self, version: dict) -> bytes:
        """All figures as Prometheus reads them; asks the registry and the project for some.

        Args:
            version: the answer of /version.
        """
        return generate_latest(self._registry) + generate_latest(_of_model(version))

    def counted(self, app: ASGIApp) -> ASGIApp:
        """An application whose requests are counted."""

        async def count(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            path = scope["path"] if _PATHS.match(scope["path"]) else "page"
            start, status = time.monotonic(), "none"

            async def answer(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = str(message["status"])
                await send(message)

            try:
                await app(scope, receive, answer)
            finally:
                self._requests.labels(path, status).inc()
                self._seconds.labels(path).observe(time.monotonic() - start)

        return count


def _of_model(version: dict) -> CollectorRegistry:
    registry = CollectorRegistry()
    if version["version"]:
        info = Gauge(
            "unmask_model_info", "The version that serves.", ["version", "trained_on"],
            registry=registry,
        )  # fmt: skip
        info.labels(version["version"], version["trained_on"] or "").set(1)
        since = Gauge(
            "unmask_model_since_timestamp_seconds", "When it took over.", registry=registry
        )
        since.set(datetime.fromisoformat(version["since"]).timestamp())
    trouble = Gauge("unmask_trouble", "Whether /version names trouble.", registry=registry)
    trouble.set(version["trouble"] is not None)
    return registry


class _Loop:
    """Figures of the retraining loop, read when they are asked for; none outside a project."""

    def __init__(self) -> None:
        self._asked, self._newest = -_ASK_SECONDS, 0.0

    def collect(self) -> Iterator[Metric]:
        """The figures that can be read now."""
        root = find_root()
        if time.monotonic() - self._asked >= _ASK_SECONDS:
            self._asked = time.monotonic()  # also where the registry does not answer
            with suppress(UnmaskError):
                versions = list_versions()
                self._newest = max(
                    (datetime.fromisoformat(one.created).timestamp() for one in versions), default=0
                )
        if self._newest:
            yield GaugeMetricFamily(
                "unmask_last_training_timestamp_seconds",
                "When the newest version was registered.",
                self._newest,
            )
        if root is not None:
            with suppress(UnmaskError):  # the ledger is damaged, as the flow monitor says
                yield from _of_drift(root)


def _of_drift(root: Path) -> Iterator[Metric]:
    ledger = Ledger.read(root)
    drift = GaugeMetricFamily(
        "unmask_drift", "Kinds of drift confirmed for this champion.", labels=["kind"]
    )
    for kind in ledger.announced:
        drift.add_metric([kind], 1)
    yield drift
    if checked := Ledger.checked(root):
        yield GaugeMetricFamily(
            "unmask_last_check_timestamp_seconds", "When drift was last judged.", checked
        )
