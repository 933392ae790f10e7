import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from project import DVC_YAML
from team.buckets import bucket_named

from unmask.errors import UnmaskError
from unmask.inbox.storage import Bucket, Folder, Storage, storage_of


@pytest.fixture(scope="module")
def s3():
    """A client of an S3 server with the bucket `photos`."""
    with bucket_named("photos") as client:
        yield client


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "folder":
        return Folder(tmp_path / "inbox")
    request.getfixturevalue("s3")
    return Bucket(f"s3://photos/{tmp_path.name}")


def test_a_place_that_is_not_there_is_empty(storage):
    assert storage.files("new") == {}


def test_what_is_written_is_found_and_read(storage):
    odd = "new/deep/photo[1] *?äß #%41+.jpg"
    storage.write("new/a.jpg", b"old")
    storage.write("new/a.jpg", b"one")
    storage.write(odd, b"two")
    storage.write("newer/b.jpg", b"three")
    assert set(storage.files("new")) == {"new/a.jpg", odd}
    assert set(storage.files("new/deep")) == {odd}
    assert storage.read("new/a.jpg") == b"one"
    assert storage.read(odd) == b"two"


def test_moving_replaces_and_leaves_nothing(storage):
    odd = "new/deep/photo[1] *.jpg"
    storage.write(odd, b"one")
    storage.write("done/a.jpg", b"old")
    storage.move(odd, "done/a.jpg")
    assert set(storage.files("new")) == set()
    assert set(storage.files("done")) == {"done/a.jpg"}
    assert storage.read("done/a.jpg") == b"one"
    with pytest.raises(FileNotFoundError):
        storage.move(odd, "done/b.jpg")
    assert set(storage.files("done")) == {"done/a.jpg"}


def test_dropping_takes_all_below_a_folder_alone(storage):
    for path in ("work/b/rows/1.json", "work/b/2.json", "work/bb/3.json"):
        storage.write(path, b"{}")
    storage.delete_folder("work/b")
    assert set(storage.files("work")) == {"work/bb/3.json"}


def test_a_folder_finds_files_and_links_to_files_alone(tmp_path):
    storage = Folder(tmp_path)
    storage.write("new/a.jpg", b"one")
    (tmp_path / "new" / "link.jpg").symlink_to(tmp_path / "new" / "a.jpg")
    (tmp_path / "new" / "dead.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "new" / "pipe.jpg")
    assert set(storage.files("new")) == {"new/a.jpg", "new/link.jpg"}


def test_a_copied_modification_time_does_not_make_a_file_old(tmp_path):
    storage = Folder(tmp_path)
    before = (tmp_path / "clock").touch() or (tmp_path / "clock").stat().st_ctime
    storage.write("new/a.jpg", b"one")
    os.utime(tmp_path / "new" / "a.jpg", (0, 0))
    assert storage.files("new")["new/a.jpg"] >= before


def test_a_bucket_marks_of_folders_are_no_files(s3):
    s3.put_object(Bucket="photos", Key="marked/new/", Body=b"")
    s3.put_object(Bucket="photos", Key="marked/new/a.jpg", Body=b"one")
    assert set(Bucket("s3://photos/marked/").files("new")) == {"new/a.jpg"}


def test_urls_name_buckets_and_paths_folders_of_the_project(s3, tmp_path, monkeypatch):
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    folder, bucket = storage_of("data/inbox"), storage_of("s3://photos/inbox")
    assert isinstance(folder, Folder)
    assert folder.root == tmp_path / "data" / "inbox"
    assert isinstance(bucket, Bucket)
    assert storage_of("/elsewhere").root == Path("/elsewhere")


def test_a_file_is_created_once(storage):
    assert storage.create("work/b/lease-0001", b"one")
    assert not storage.create("work/b/lease-0001", b"two")
    assert storage.read("work/b/lease-0001") == b"one"
    assert set(storage.files("work")) == {"work/b/lease-0001"}


def test_of_many_that_create_or_take_a_file_one_does(storage):
    with ThreadPoolExecutor(8) as pool:
        for number in range(5):
            path = f"new/{number}.jpg"
            made = pool.map(lambda who, path=path: storage.create(path, b"%d" % who), range(8))
            assert sum(made) == 1
            to = [f"work/{who}/photos/{number}.jpg" for who in range(8)]
            got = pool.map(lambda to, path=path: storage.take(path, to, lambda _: True), to)
            (taken,) = (to for to, took in zip(to, got, strict=True) if took)
            assert set(storage.files("work")) == {taken}
            storage.delete_folder("work")
    assert storage.files("new") == storage.files("claims") == {}


def test_a_dead_process_claim_is_passed_and_a_living_one_kept(s3):
    storage = Bucket("s3://photos/claimed")
    storage.write("new/a.jpg", b"one")
    assert storage.create(f"{storage.claims_of('new/a.jpg')}/0001", b"work/dead/photos/a.jpg")
    asked = []
    assert not storage.take("new/a.jpg", "work/b/photos/a.jpg", lambda path: not asked.append(path))
    assert storage.take("new/a.jpg", "work/b/photos/a.jpg", lambda path: asked.append(path))
    assert asked == ["work/dead/photos/a.jpg"] * 2
    assert storage.read("work/b/photos/a.jpg") == b"one"
    assert storage.files("new") == storage.files("claims") == {}


def test_files_know_when_they_changed(storage):
    before = time.time()
    storage.write("new/a.jpg", b"one")
    assert before - 2 <= storage.files("new")["new/a.jpg"] <= time.time() + 2


def test_what_stays_of_a_folder_that_is_deleted(storage):
    for path in (
        "work/b/photos/a.jpg",
        "work/b/photos/deep/b.jpg",
        "work/b/rows/1.json",
        "work/b/x",
    ):
        storage.write(path, b"one")
    storage.delete_folder("work/b", but="work/b/photos")
    assert set(storage.files("work")) == {"work/b/photos/a.jpg", "work/b/photos/deep/b.jpg"}


def test_a_file_system_without_links_creates_a_file_once_too(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    storage = Folder(tmp_path)
    assert storage.create("work/b/lease-0001", b"one")
    assert not storage.create("work/b/lease-0001", b"two")
    assert {path.name for path in (tmp_path / "work" / "b").iterdir()} == {"lease-0001"}


def test_a_bucket_that_knows_no_conditional_puts_is_refused(s3, monkeypatch):
    storage = Bucket("s3://photos/unconditional")
    storage.check()
    assert storage.files("claims") == {}
    pipe = storage._files.pipe_file
    monkeypatch.setattr(storage._files, "pipe_file", lambda path, content, **_: pipe(path, content))
    with pytest.raises(UnmaskError, match="knows no conditional puts"):
        storage.check()
