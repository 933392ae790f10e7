import asyncio
from types import SimpleNamespace

from unmask.serving import supervisor
from unmask.serving.backend import BackendError


def test_a_version_that_fails_is_tried_again_after_longer_and_longer(monkeypatch):
    clock, tried = [0], []

    class Broken:
        def __init__(self, name: str, version: str, seconds: float) -> None:
            self.version = version

        async def start(self) -> None:
            tried.append(clock[0])
            raise BackendError("broken")

        async def stop(self) -> None:
            pass

    monkeypatch.setattr(supervisor, "Backend", Broken)
    monkeypatch.setattr(supervisor, "version_of", lambda alias: "2")
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(supervisor, "_POLL_SECONDS", 0)
    said = []
    made = supervisor.Supervisor(1.0, said.append)
    made._backend = SimpleNamespace(version="1", running=True)
    for clock[0] in range(1000):
        asyncio.run(made._follow_champion())
    assert tried == [0, 10, 30, 70, 150, 310, 610, 910]
    assert said == ["broken"]
    assert made.as_json()["trouble"] == "broken"
