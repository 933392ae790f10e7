import multiprocessing
import os

import pytest

from unmask.locks import locked


def hold(path, held, release) -> None:
    with locked(path, "another's work"):
        held.set()
        release.wait(60)


def test_who_waits_says_for_whom(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(path, held, release))
    other.start()
    assert held.wait(60)
    said = []

    def told(text: str, **_) -> None:
        said.append(text)
        release.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", told)
        with locked(path, "a retraining"):
            assert path.with_name("a.lock.holder").read_text() == str(os.getpid())
    other.join(60)
    assert said == [f"waiting for a retraining of process {other.pid}"]


def test_who_need_not_wait_says_nothing(tmp_path, capsys):
    for _ in range(2):
        with locked(tmp_path / "a.lock", "a retraining"):
            pass
    assert capsys.readouterr().out == ""
