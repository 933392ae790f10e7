"""What a worker process answers where it cannot restore."""

import asyncio
from pathlib import Path

import pytest
from anyio import CapacityLimiter
from restorations import to_base64

from unmask.masking.samples import sample
from unmask.networks import RELEASED
from unmask.serving import workers
from unmask.serving.schemas import RefusedError
from unmask.serving.workers import restore

pytestmark = pytest.mark.server

PICTURE = to_base64(sample(0, 0, 128, masked=True))


def test_of_an_error_the_sentence_alone_is_told():
    async def refusals() -> list[RefusedError]:
        limiter, found = CapacityLimiter(1), []
        for picture, params in (("!", {}), (PICTURE, {"gender": "x"}), ([1], {})):
            with pytest.raises(RefusedError) as refused:
                await restore(RELEASED, "m", picture, params, limiter)
            found.append(refused.value)
        return found

    for refused, status, sentence in zip(
        asyncio.run(refusals()),
        (400, 400, 500),
        (
            "the picture: not base64",
            "gender is 'x': use auto",
            "the model failed on this picture (AttributeError).",
        ),
        strict=True,
    ):
        assert refused.http_status == status
        assert str(refused).startswith(sentence)
        assert "Traceback" not in str(refused)


def test_after_a_worker_was_killed_for_its_time_another_restores():
    async def answer() -> dict:
        limiter = CapacityLimiter(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await restore(RELEASED, "m", PICTURE, {"crop": True}, limiter)
        return await restore(RELEASED, "m", PICTURE, {"crop": True}, limiter)

    assert asyncio.run(answer())["faces"][0]["status"] == "restored"


def test_a_worker_drops_a_version_before_it_loads_the_next(monkeypatch):
    held: list[int] = []
    monkeypatch.setattr(workers, "_loaded", {})
    monkeypatch.setattr(workers.Chain, "load", lambda _: held.append(len(workers._loaded)))
    monkeypatch.setattr(workers, "EncodedRestorer", lambda *_: object())
    assert workers._restorer(Path("1"), "m") is workers._restorer(Path("1"), "m")
    workers._restorer(Path("2"), "m")
    assert held == [0, 0]
