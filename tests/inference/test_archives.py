"""Archives of photos: large folders, buckets, manifests, and runs that are taken up again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from project import ROOT
from restorations import paint
from ruamel.yaml import YAML
from team.buckets import bucket_named
from team.services import free_port, until

from unmask.config.params import Params
from unmask.config.profiles import use_profile
from unmask.errors import UnmaskError
from unmask.faces.dataset import make
from unmask.inference import inputs
from unmask.inference.files import restore_files
from unmask.inference.inputs import Inputs
from unmask.inference.photo import StoredRestorer
from unmask.masking.samples import write_samples
from unmask.project import located


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket on an S3 server of loopback."""
    with bucket_named("archive"):
        yield "s3://archive"


def restore(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = ["unmask", "restore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos") / "in"
    write_samples(folder, 6, 64, 0, masked=True)
    (folder / "deep").mkdir()
    os.replace(folder / "face-0005.png", folder / "deep" / "face-0000.png")
    (folder / "broken.png").write_bytes(b"no photo")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_a_bucket_is_restored_like_a_folder_into_a_bucket(bucket, photos, tmp_path):
    for file in photos.rglob("*"):
        if file.is_file():
            (located(f"{bucket}/in") / str(file.relative_to(photos))).write_bytes(file.read_bytes())
    own = restore(photos, "-o", tmp_path, "--crop", "-r", "--manifest", tmp_path / "m.parquet")
    remote = f"{bucket}/out"
    options = ("--crop", "-r", "--manifest", f"{remote}/m.parquet")
    done = restore(f"{bucket}/in", "-o", remote, *options)
    for one in (own, done):
        assert "1 of 7 inputs could not be restored" in one.stderr, one.stderr
        assert "notes.txt: no picture by its ending" in one.stderr
    expected = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file()}
    found = {path.path.removeprefix("archive/out/"): path for path in located(remote).rglob("*.*")}
    assert set(found) == set(expected)
    for name, path in expected.items():
        if name != "m.parquet":
            assert found[name].read_bytes() == path.read_bytes()
    again = restore(f"{bucket}/in", "-o", remote, *options, "--skip-existing")
    assert again.stdout.count("restored before") == 6


def test_a_manifest_has_a_row_for_each_photo(photos, tmp_path):
    manifest = tmp_path / "manifest.parquet"
    for before in (False, True):
        options = ("--crop", "-r", "--skip-existing", "--manifest", manifest)
        restore(photos, "-o", tmp_path / "out", *options)
        table = pd.read_parquet(manifest).set_index("input")
        assert len(table) == 7
        broken = table.loc[str(photos / "broken.png")]
        assert broken["status"] == "failed"
        assert "not an image" in broken["reason"]
        others = table.drop(index=str(photos / "broken.png"))
        assert set(others["status"]) <= {"restored", "unchanged"}
        assert (others["before"] == before).all()
        assert others["output"].map(lambda path: Path(path).is_file()).all()
        assert others["model"].str.startswith("unmask").all()
        assert others["sha256"].str.len().eq(64).all()
    faces, restored = duckdb.sql(
        f"select sum(faces), sum(restored) from '{manifest}' where status != 'failed'"
    ).fetchall()[0]
    assert faces == 6
    assert 0 < restored <= faces


def test_a_run_that_was_killed_goes_on_and_leaves_no_half_manifest(photos, tmp_path):
    out, manifest = tmp_path / "out", tmp_path / "out" / "manifest.parquet"
    options = ["-o", out, "--crop", "-r", "--skip-existing", "--manifest", manifest]
    command = map(str, ["unmask", "restore", photos, *options])
    with subprocess.Popen([*command], stdout=subprocess.PIPE) as process:
        until(lambda: len(list(out.glob("*.json"))) > 1, "two answers")
        process.send_signal(signal.SIGKILL)
    assert not manifest.exists()
    done = restore(photos, *options)
    assert done.stdout.count("restored before") >= 2
    table = pd.read_parquet(manifest)
    assert len(table) == 7
    assert table["before"].sum() >= 2
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == set()


def test_the_answers_of_a_large_folder_go_to_subfolders_unless_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "LARGE_FOLDER", 5)
    for number in range(6):
        paint(tmp_path / "in" / f"{number}.png")
    for number in range(4):
        paint(tmp_path / "in" / "small" / f"{number}.png")
    spread = list(Inputs([tmp_path / "in"], recursive=True))
    assert {str(one.folder)[:4] for one in spread[:6]} == {"md5-"}
    assert {one.folder for one in spread[6:]} == {Path("small")}
    assert spread == list(Inputs([tmp_path / "in"], recursive=True))
    flat = list(Inputs([tmp_path / "in"], flat=True))
    assert {one.folder for one in flat} == {Path()}


def test_folders_are_listed_as_they_are_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_FIRST", 2)
    for number in range(4):
        paint(tmp_path / "in" / str(number) / "a.png")
    listed = []
    entries = inputs._entries
    monkeypatch.setattr(inputs, "_entries", lambda path: listed.append(path.name) or entries(path))
    pictures = Inputs([tmp_path / "in"], recursive=True)
    assert listed == ["in", "0", "1"]
    listed.clear()
    walk = iter(pictures)
    next(walk)
    assert listed == ["in", "0"]
    assert len([*walk]) == 3


def test_links_in_a_circle_and_folders_that_cannot_be_read_are_left_out(tmp_path, monkeypatch):
    paint(tmp_path / "a.png")
    paint(tmp_path / "deep" / "b.png")
    paint(tmp_path / "locked" / "c.png")
    (tmp_path / "deep" / "loop").symlink_to(tmp_path)
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    entries = inputs._entries

    def refuse(folder: Path) -> Iterator[tuple[str, str]]:
        if folder.name == "locked":
            raise PermissionError(13, "Permission denied")
        return entries(folder)

    monkeypatch.setattr(inputs, "_entries", refuse)
    pictures = Inputs([tmp_path], recursive=True)
    assert [one.file.name for one in pictures] == ["a.png", "b.png"]
    assert "locked: it cannot be read: Permission denied" in pictures.left_out_sentence
    assert "loop: a link to a folder that it lies in" in pictures.left_out_sentence


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("s3://nobody-has-this/x", "-o", "out"), "does not exist: name a picture"),
        (("nosuch://b/x", "-o", "out"), "nosuch://b/x cannot be read"),
        (("a.png", "-o", "out", "--manifest", "."), ". is a folder: name the manifest's file"),
        (("a.png", "-o", "out", "--cluster", "nonsense"), "--cluster: 'nonsense' names no cluster"),
        (("a.png", "-o", "out", "--cluster", "tls://127.0.0.1:1"), "no Dask scheduler answers"),
    ],
)
def test_wrong_places_are_told_in_a_sentence(arguments, told, bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paint(tmp_path / "a.png")
    done = restore(*arguments)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_that_is_away_is_told_in_a_sentence(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    done = restore(f"{bucket}/in", "-o", tmp_path / "out")
    assert "error: the bucket does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_networks_that_are_not_there_end_the_run(photos, tmp_path):
    restorer = StoredRestorer(tmp_path / "nowhere", 1, "0")
    with pytest.raises(UnmaskError, match="is missing"):
        list(restore_files(Inputs([photos]), tmp_path / "out", restorer, "m"))


def test_faces_come_from_a_bucket_as_from_a_folder(bucket, tmp_path, monkeypatch):
    given = tmp_path / "given"
    write_samples(given, 4, 128, 0, masked=False)
    (given / "notes.txt").unlink(missing_ok=True)
    points = " ".join(map(str, _landmarks()))
    rows = [f"{path.name},{points},male" for path in sorted(given.glob("*.png"))]
    (given / "annotations.csv").write_text("\n".join(["file,landmarks,gender", *rows]) + "\n")
    remote = located(f"{bucket}/sources/given")
    for file in given.iterdir():
        (remote / file.name).write_bytes(file.read_bytes())
    made = {}
    for path in (str(given), f"{bucket}/sources/given"):
        folder = tmp_path / path.partition(":")[0].strip("/").replace("/", "-")
        folder.mkdir()
        use_profile("smoke", ROOT / "conf", folder / "params.yaml")
        tree = YAML(typ="safe").load(folder / "params.yaml")
        tree["faces"] |= {"sources": [{"name": "folder", "path": path}], "workers": 1}
        assert make(Params.model_validate(tree), folder / "data") == []
        shards = sorted((folder / "data" / "faces").iterdir())
        made[path] = [(shard.name, shard.read_bytes()) for shard in shards]
    one, two = made.values()
    assert one == two != []


def _landmarks() -> list[float]:
    from unmask.faces.synthetic import Sampled

    return Sampled(0, 0, 128).read().landmarks.ravel().tolist()
