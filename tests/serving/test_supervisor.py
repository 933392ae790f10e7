import asyncio
from types import SimpleNamespace

from unmask.errors import UnmaskError
from unmask.registry.champions import ChampionGoneError
from unmask.serving import supervisor


def test_a_version_that_fails_is_tried_again_after_longer_and_longer(monkeypatch):
    clock, tried = [0], []

    def broken(uri, into):
        tried.append(clock[0])
        raise UnmaskError("broken")

    monkeypatch.setattr(supervisor, "networks_of", broken)
    monkeypatch.setattr(supervisor, "champion", lambda: "2")
    monkeypatch.setattr(supervisor, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    said = []
    made = supervisor.Supervisor(1, said.append)
    made._version = "1"
    for clock[0] in range(1000):
        asyncio.run(made._follow_champion())
    assert tried == [0, 10, 30, 70, 150, 310, 610, 910]
    assert said == ["broken"]
    assert made.as_json()["trouble"] == "broken"


def test_a_server_that_starts_without_its_champion_waits_for_another(monkeypatch):
    answers = [ChampionGoneError("gone: roll back"), ChampionGoneError("gone: roll back"), "2"]

    def champion():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(supervisor, "champion", champion)
    monkeypatch.setattr(supervisor, "released_version", lambda: "never registered")
    monkeypatch.setattr(supervisor, "_POLL_SECONDS", 0)
    said = []
    made = supervisor.Supervisor(1, said.append)
    assert asyncio.run(made._first_version()) == "2"
    assert said == ["gone: roll back"]
    assert made.as_json()["trouble"] == "gone: roll back"
    assert not made.ready
