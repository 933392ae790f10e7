import subprocess
import sys

from unmask.serving import temporary
from unmask.serving.temporary import OwnFolder

_HOLD = """
import sys
from unmask.serving import temporary
temporary.gettempdir = lambda: sys.argv[1]
temporary.mkdtemp = lambda prefix: __import__("tempfile").mkdtemp(prefix=prefix, dir=sys.argv[1])
folder = temporary.OwnFolder("page")
(folder.path / "photo.png").touch()
print(folder.path.name, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "unmask-serve-another").mkdir()
    holders = []
    for _ in range(2):
        command = [sys.executable, "-c", _HOLD, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        holders.append(subprocess.Popen(command, text=True, **pipes))
    killed, alive = ((holder, holder.stdout.readline().strip()) for holder in holders)
    killed[0].kill()
    killed[0].wait()
    mine = OwnFolder("page")
    assert {path.name for path in tmp_path.iterdir()} == {alive[1], "unmask-serve-another"}
    assert (tmp_path / alive[1] / "photo.png").exists()
    alive[0].communicate()
    mine.remove()
    assert not mine.path.exists()
