import os
import subprocess
import sys
import tempfile

from unmask.serving.temporary import LockedFolder

_HOLD = """
import sys
from unmask.serving.temporary import LockedFolder
folder = LockedFolder("page")
(folder.path / "photo.png").touch()
print(folder.path.name, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "unmask-serve-another").mkdir()
    holders = []
    for _ in range(2):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD],
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
            **pipes,
        )
        holders.append((holder, holder.stdout.readline().strip()))
    killed, alive = holders
    killed[0].kill()
    killed[0].wait()
    mine = LockedFolder("page")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {mine.path.name, alive[1], "unmask-serve-another"}
    assert (tmp_path / alive[1] / "photo.png").exists()
    alive[0].communicate()
    mine.remove()
    assert not mine.path.exists()
