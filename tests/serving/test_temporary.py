import os
import subprocess
import sys
from pathlib import Path

from unmask.serving import temporary


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = {
        f"unmask-page-{gone.pid}-left": False,
        f"unmask-serve-{gone.pid}-another": True,
        f"unmask-page-{os.getppid()}-alive": True,
        "unmask-page-mine-x": True,
    }
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").touch()
    assert temporary.prefix_of("page") == f"unmask-page-{os.getpid()}-"
    assert {name: Path(tmp_path / name).exists() for name in names} == names
