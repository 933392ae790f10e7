"""Which code a checkpoint is keyed by."""

from pathlib import Path

from unmask.geometry import landmarks as geometry
from unmask.models import inpainting
from unmask.training.checkpoints import code_digest


def changed(path: Path, monkeypatch) -> str:
    """The digest of a training of gender, where a file has other bytes."""
    read = Path.read_bytes
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda p: b"other" if p == path else read(p))
        return code_digest(("gender",))


def test_the_code_of_other_networks_does_not_count_but_all_that_is_shared_does(monkeypatch):
    before = code_digest(("gender",))
    assert changed(Path(inpainting.__file__), monkeypatch) == before
    assert changed(Path(geometry.__file__), monkeypatch) != before
