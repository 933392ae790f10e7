import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Event

import fsspec
import numpy as np
import pytest
import work_elsewhere
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import example, given
from hypothesis import strategies as st
from restorations import whole

from unmask.inbox import queue
from unmask.inbox.leases import LeaseLostError, Leases
from unmask.inbox.queue import BatchProcessor, Outcome, Restorer, claim, waiting_photos
from unmask.inbox.storage import Bucket, Folder, Storage
from unmask.inference.pictures import decode_picture, encode_picture
from unmask.inference.results import FaceAnswer, Restoration

PHOTOS = [encode_picture(np.full((16, 16, 3), value, np.uint8)) for value in range(3)]
CONTENTS = [*PHOTOS, b"no photo", b""]
NAMES = ["a.jpg", "b.png", "deep/a.jpg", "notes.txt", "no suffix"]


def key_of(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]


def brighten(picture: np.ndarray) -> Restoration:
    hole = np.ones(picture.shape[:2], bool)
    face = FaceAnswer("restored", "", (0.0, 0.0, 9.0, 9.0), None, 0.5, 0.5, 0.9)
    return whole(picture, picture + 100, hole, face)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code catches it."""


def called(work: Callable, *arguments):
    return work(*arguments)


class World:
    """An inbox that outlives the processes at work on it, each of which may be killed."""

    def __init__(self, storage: Storage, restore: Callable = brighten) -> None:
        self.storage, self.names = storage, count()
        self.recorded: dict[str, list] = {}
        self.restorer = Restorer(restore, "m", self.summarise, self.record, alone=called)

    def summarise(self, picture: np.ndarray, restored: Restoration) -> list[dict]:
        return [{"brightness": float(picture.mean()), "status": restored.faces[0].status}]

    def record(self, rows: list[dict], batch: str) -> None:
        assert rows
        self.recorded[batch] = rows

    def leases(self, owner: str = "one", seconds: float = 600.0) -> Leases:
        return Leases(self.storage, owner, seconds)

    def run(self, size: int = 2) -> list[Outcome]:
        """What one run of the flow does."""
        photos, leases = waiting_photos(self.storage, 0.0, float("inf")), self.leases()
        processor = BatchProcessor(self.storage, self.restorer)
        batches = [(batch, []) for batch in leases.left()]
        for start in range(0, len(photos), size):
            batches.append((f"batch-{next(self.names):04d}", photos[start : start + size]))
        ended = []
        for batch, some in batches:
            with leases.take(batch) as lease:
                claim(self.storage, some, lease, leases)
                ended += processor.process(lease)
        return ended

    def held(self, folder: str) -> dict[str, bytes]:
        return {
            path.removeprefix(f"{folder}/"): self.storage.read(path)
            for path in self.storage.files(folder)
            if not PurePosixPath(path).name.startswith(".")  # what a kill left half-written
        }


class Fuse:
    """Kills before the step on storage after the next `left` ones."""

    def __init__(self) -> None:
        self.left, self.steps = None, 0

    def burn(self, torn: Callable[[], object] = lambda: None) -> None:
        self.steps += 1
        if self.left is not None:
            if self.left == 0:
                torn()
                raise Killed
            self.left -= 1


@contextmanager
def folder_world() -> Iterator[tuple[World, Fuse, Counter]]:
    """A folder, killed before a call of the system that changes it, or in the midst of a write."""
    fuse, committed, link = Fuse(), Counter(), os.link
    with TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:

        def lit(call: Callable) -> Callable:
            def burning(*args, **kwargs):
                fuse.burn()
                return call(*args, **kwargs)

            return burning

        replace, write = os.replace, Path.write_bytes

        def counted(source, target):
            fuse.burn()
            replace(source, target)
            committed[str(Path(target).relative_to(root))] += 1

        def linked(source, target):
            fuse.burn()
            link(source, target)
            committed[str(Path(target).relative_to(root))] += 1

        def torn(path, content):
            fuse.burn(lambda: write(path, content[: len(content) // 2]))
            return write(path, content)

        for name in ("mkdir", "rmdir", "unlink"):
            patch.setattr(os, name, lit(getattr(os, name)))
        patch.setattr(os, "replace", counted)
        patch.setattr(os, "link", linked)
        patch.setattr(Path, "write_bytes", torn)
        yield World(Folder(Path(root))), fuse, committed
        fuse.left = None


@contextmanager
def bucket_world() -> Iterator[tuple[World, Fuse, Counter]]:
    """A bucket in memory, killed before any request that changes it."""
    fuse, committed = Fuse(), Counter()
    MemoryFileSystem.store.clear()
    with pytest.MonkeyPatch.context() as patch:
        storage = fsspec.filesystem("memory")
        pipe, copy, remove = storage.pipe_file, storage.cp_file, storage.rm_file

        def put(path, content, **mode):
            fuse.burn()
            pipe(path, content, **mode)
            committed[path.removeprefix("/inbox/")] += 1

        def cp(path, to):
            fuse.burn()
            copy(path, to)

        def rm(path):
            fuse.burn()
            remove(path)

        patch.setattr(storage, "pipe_file", put)
        patch.setattr(storage, "cp_file", cp)
        patch.setattr(storage, "rm_file", rm)
        patch.setattr(fsspec, "url_to_fs", lambda url, **_: (storage, url.removeprefix("memory:/")))
        yield World(Bucket("memory://inbox")), fuse, committed


WORLDS = pytest.mark.parametrize("world_of", [folder_world, bucket_world])


def put(world: World, name: str, content: bytes) -> None:
    world.storage.write(f"new/{name}", content)


def check(world: World, committed: Counter, arrived: set[tuple[str, bytes]]) -> None:
    """Every photo is restored or set aside, none twice and none lost; by counts and by bytes."""
    assert world.held("new") == world.held("work") == {}
    good = {content for _, content in arrived if content in PHOTOS}
    done = {(name, content) for name, content in arrived if content in PHOTOS}
    answers = world.held("restored")
    documents = [name for name in answers if name.endswith(".json")]
    assert sorted(name.removesuffix(".restored.json")[-16:] for name in documents) == sorted(
        map(key_of, good)
    )
    stems = {name.removesuffix(".restored.json") for name in documents}
    whole = [name for name in answers if any(name.startswith(f"{stem}.") for stem in stems)]
    assert len(whole) == 3 * len(good)
    # of two names of the same bytes, the one at work as the process was killed comes second
    assert all(any(key_of(c) in name for c in good) for name in answers)
    for content in good:
        (stem,) = {n.removesuffix(".restored.json") for n in documents if key_of(content) in n}
        picture = decode_picture(answers[f"{stem}.restored.png"], stem)
        np.testing.assert_array_equal(picture, decode_picture(content, stem) + 100)
        assert json.loads(answers[f"{stem}.restored.json"])["faces"][0]["status"] == "restored"
        assert committed[f"restored/{stem}.restored.json"] == 1
    expected = {moved(name, content): content for name, content in done}
    assert world.held("done") == expected
    failed = {moved(name, content): content for name, content in arrived - done}
    reasons = {name for name in world.held("failed") if name not in failed}
    assert {name: world.held("failed")[name] for name in failed} == failed
    assert reasons == {f"{name}.txt" for name in failed}
    summarised = Counter(row["brightness"] for rows in world.recorded.values() for row in rows)
    assert summarised == Counter(float(decode_picture(c, "").mean()) for c in good)


def taken(world: World, name: str, content: bytes) -> bool:
    """Whether a photo that is in new/ was copied out of it already."""
    work, ended = world.held("work"), {**world.held("done"), **world.held("failed")}
    return moved(name, content) in ended or any(
        path.endswith(f"/photos/{name}") and path.count("/") == 2 + name.count("/") and c == content
        for path, c in work.items()
    )


def moved(name: str, content: bytes) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-{key_of(content)}{path.suffix}"))


def scene(world: World) -> set[tuple[str, bytes]]:
    contents = [PHOTOS[0], PHOTOS[0], PHOTOS[1], b"no photo", PHOTOS[2]]
    arrived = list(zip(NAMES, contents, strict=True))
    for name, content in arrived:
        put(world, name, content)
    return set(arrived)


@WORLDS
def test_killed_before_each_step_in_turn_the_next_run_ends_right(world_of):
    with world_of() as (world, fuse, _):
        scene(world)
        before = fuse.steps
        world.run()
        steps = fuse.steps - before
    assert steps > 30
    for step in range(steps):
        with world_of() as (world, fuse, committed):
            arrived = scene(world)
            fuse.left = step
            with pytest.raises(Killed):
                world.run()
            fuse.left = None
            world.run()
            check(world, committed, arrived)


ARRIVAL = st.tuples(st.sampled_from(NAMES), st.sampled_from(CONTENTS))
EVENTS = st.lists(st.one_of(ARRIVAL, st.integers(0, 60)), max_size=14)


@WORLDS
@given(events=EVENTS, size=st.integers(1, 3))
@example(events=[("a.jpg", PHOTOS[0]), 2, ("a.jpg", PHOTOS[1]), 9, 30], size=1)
def test_arrivals_and_kills_in_any_order_lose_and_repeat_nothing(world_of, events, size):
    with world_of() as (world, fuse, committed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_MOST_TRIES", 99)  # a photo may be at work at each of the kills
        arrived: set[tuple[str, bytes]] = set()
        for event in events:
            if isinstance(event, int):
                fuse.left = event
                with suppress(Killed):
                    world.run(size)
                fuse.left = None
                continue
            name, content = event
            old = world.held("new").get(name)
            if old is not None and not taken(world, name, old):
                arrived.discard((name, old))  # written over by the user
            put(world, name, content)
            arrived.add((name, content))
        world.run(size)
        check(world, committed, arrived)
        assert world.run(size) == []


@WORLDS
def test_outcomes_are_told(world_of):
    with world_of() as (world, _, _):
        scene(world)
        ended = {one.photo: one for one in world.run()}
        assert {name: one.status for name, one in ended.items()} == {
            "a.jpg": "restored",
            "b.png": "known",
            "deep/a.jpg": "restored",
            "notes.txt": "failed",
            "no suffix": "restored",
        }
        assert "notes.txt: not an image" in ended["notes.txt"].reason
        assert ended["deep/a.jpg"].faces == ("restored",)
        reason = world.held("failed")[moved("notes.txt", b"no photo") + ".txt"].decode()
        assert reason == ended["notes.txt"].reason + "\n"


def test_photos_being_written_are_left(tmp_path):
    storage = Folder(tmp_path)
    for name in ("b.jpg", "a.jpg.part", ".hidden.jpg", ".folder/c.jpg", "deep/d.JPG.CRDOWNLOAD"):
        storage.write(f"new/{name}", PHOTOS[0])
    written = (tmp_path / "new" / "b.jpg").stat().st_ctime
    assert waiting_photos(storage, 10.0, written + 9.9) == []
    assert waiting_photos(storage, 10.0, written + 10.1) == ["b.jpg"]


def test_the_oldest_photos_come_first(tmp_path, monkeypatch):
    storage = Folder(tmp_path)
    times = {"new/c.jpg": 1.0, "new/a.jpg": 2.0, "new/b.jpg": 2.0}
    monkeypatch.setattr(storage, "files", lambda under: times)
    assert waiting_photos(storage, 0.0, 5.0) == ["c.jpg", "a.jpg", "b.jpg"]


def test_the_same_bytes_are_restored_again_once_their_answer_is_taken_away():
    with folder_world() as (world, _, _):
        put(world, "a.jpg", PHOTOS[0])
        assert [one.status for one in world.run()] == ["restored"]
        put(world, "again.jpg", PHOTOS[0])
        assert [one.status for one in world.run()] == ["known"]
        world.storage.delete_folder("restored")
        put(world, "again.jpg", PHOTOS[0])
        assert [one.status for one in world.run()] == ["restored"]


def test_a_photo_that_is_gone_is_passed_over():
    with folder_world() as (world, _, _):
        for name in ("a.jpg", "c.jpg"):
            put(world, name, PHOTOS[0])
        leases = world.leases()
        claim(world.storage, ["a.jpg", "b.jpg", "c.jpg"], leases.take("batch"), leases)
        claim(world.storage, ["a.jpg", "c.jpg"], leases.take("other"), leases)
        assert {name for name in world.held("work") if "photos" in name} == {
            "batch/photos/a.jpg",
            "batch/photos/c.jpg",
        }


def test_a_photo_that_the_code_fails_on_is_set_aside_and_told():
    def fail(picture: np.ndarray) -> Restoration:
        if picture.any():
            raise ZeroDivisionError("a defect")
        return brighten(picture)

    with folder_world() as (world, _, _):
        world = World(world.storage, fail)
        put(world, "a.jpg", PHOTOS[0])
        put(world, "b.jpg", PHOTOS[1])
        good, bad = sorted(world.run(), key=lambda one: one.photo)
        assert (good.status, good.defect) == ("restored", False)
        assert (bad.status, bad.defect) == ("failed", True)
        assert "ZeroDivisionError: a defect" in bad.reason
        assert world.held("failed")[moved("b.jpg", PHOTOS[1])] == PHOTOS[1]


def test_a_photo_that_may_not_be_read_is_set_aside(monkeypatch):
    with folder_world() as (world, _, _):
        put(world, "a.jpg", PHOTOS[0])
        monkeypatch.setattr(world.storage, "read", refuse)
        (ended,) = world.run()
        monkeypatch.undo()
        assert ended.reason == "it cannot be read: Permission denied"
        assert world.held("failed")["a-batch-0000.jpg"] == PHOTOS[0]


def refuse(path: str) -> bytes:
    raise PermissionError(13, "Permission denied", path)


def test_failing_storage_ends_the_run_and_leaves_the_batch(monkeypatch):
    with folder_world() as (world, _, committed):
        arrived = scene(world)
        record = world.record
        refusing = lambda rows, batch: refuse(batch)  # noqa: E731
        failing = Restorer(brighten, "m", world.summarise, refusing, alone=called)
        world.restorer = failing
        with pytest.raises(PermissionError):
            world.run()
        world.restorer = Restorer(brighten, "m", world.summarise, record, alone=called)
        world.run()
        check(world, committed, arrived)


@pytest.mark.parametrize("name", ["x" * 250 + ".jpg", "x." + "y" * 200, "é" * 120 + ".jpg"])
def test_the_longest_names_fit(name):
    with folder_world() as (world, _, _):
        put(world, "short.jpg", PHOTOS[0])
        Path(world.storage.root / "new" / name).write_bytes(PHOTOS[1])
        world.run()
        assert len(world.held("done")) == 2
        assert len(world.held("restored")) == 6


def test_names_that_are_no_text_are_restored_too():
    with folder_world() as (world, _, _):
        (world.storage.root / "new").mkdir()
        for number, content in enumerate((PHOTOS[0], b"no photo")):
            (world.storage.root / "new" / os.fsdecode(b"\xff%d.jpg" % number)).write_bytes(content)
        assert sorted(one.status for one in world.run()) == ["failed", "restored"]
        assert len(world.held("done")) == 1


@WORLDS
def test_of_two_workers_with_one_list_each_photo_is_restored_by_one(world_of):
    with world_of() as (world, _, committed):
        arrived = scene(world)
        photos, ended = waiting_photos(world.storage, 0.0, float("inf")), []
        for owner in ("one", "two", "three"):
            leases = world.leases(owner)
            with leases.take(owner) as lease:
                claim(world.storage, photos[: {"one": 2}.get(owner, 5)], lease, leases)
                if owner == "two":  # one is at work on the first photo, so two leaves the list
                    assert not world.storage.files("work/two/photos")
                    claim(world.storage, photos[2:], lease, leases)
                ended.append(len(BatchProcessor(world.storage, world.restorer).process(lease)))
        assert ended == [2, 3, 0]
        check(world, committed, arrived)


@WORLDS
def test_a_worker_that_hangs_loses_its_batch_and_knows_it(world_of, monkeypatch):
    with world_of() as (world, _, committed):
        arrived = scene(world)
        photos, clock = waiting_photos(world.storage, 0.0, float("inf")), time.monotonic()
        hanging, other = world.leases("one", 0.2), world.leases("two", 0.2)
        lease = hanging.take("batch")
        claim(world.storage, photos, lease, hanging)
        assert other.left() == []
        assert other.take("batch") is None
        late = time.time() + 1.0
        monkeypatch.setattr(time, "time", lambda: late)
        assert other.left() == ["batch"]
        with other.take("batch") as taken:
            BatchProcessor(world.storage, world.restorer).process(taken)
        check(world, committed, arrived)
        monkeypatch.setattr(time, "monotonic", lambda: clock + 1.0)
        with pytest.raises(LeaseLostError, match="batch batch is left to others"), lease:
            BatchProcessor(world.storage, world.restorer).process(lease)
        check(world, committed, arrived)


@WORLDS
def test_a_worker_that_loses_its_batch_at_a_photo_writes_into_it_no_more(world_of):
    def hang(picture: np.ndarray) -> Restoration:
        lease._lost = True
        world.storage.write("work/batch/tries.json", b"of another")
        return brighten(picture)

    with world_of() as (world, _, _):
        put(world, "a.jpg", PHOTOS[0])
        world.restorer = Restorer(hang, "m", world.summarise, world.record, alone=called)
        leases = world.leases()
        with leases.take("batch") as lease:
            claim(world.storage, ["a.jpg"], lease, leases)
            with pytest.raises(LeaseLostError):
                BatchProcessor(world.storage, world.restorer).process(lease)
        assert world.storage.read("work/batch/tries.json") == b"of another"
        assert world.held("restored") == {}


@WORLDS
def test_a_batch_is_taken_over_by_one_process_alone(world_of):
    with world_of() as (world, _, _):
        world.storage.write("work/batch/photos/a.jpg", PHOTOS[0])
        owners = [world.leases(owner, seconds=1.0) for owner in ("one", "two", "three")]
        assert [leases.left() for leases in owners] == [["batch"]] * 3
        taken = [leases.take("batch") for leases in owners]
        assert [lease is None for lease in taken] == [False, True, True]
        assert owners[0].take("batch") is not None  # a later process of the same owner


def test_a_lease_is_renewed_as_long_as_its_context_lasts(tmp_path):
    storage = Folder(tmp_path)
    with Leases(storage, "one", 1.0).take("batch") as lease:
        path = "work/batch/lease-0001"
        first = storage.files("work")[path]
        deadline = time.monotonic() + 10
        while storage.files("work")[path] == first:
            assert time.monotonic() < deadline
            Event().wait(0.02)
        lease.check()
        lease.end()
    assert storage.files("work") == {}


@WORLDS
def test_a_photo_at_work_when_its_worker_was_killed_comes_last_and_at_last_is_set_aside(world_of):
    def kill(picture: np.ndarray) -> Restoration:
        if picture.max() == 1:
            raise Killed
        return brighten(picture)

    with world_of() as (world, _, _):
        world = World(world.storage, kill)
        for number in range(3):
            put(world, f"{number}.jpg", PHOTOS[number])
        for _ in range(5):
            with pytest.raises(Killed):
                world.run(size=3)
            assert len(world.held("restored")) in (3, 6), "the others come first from then on"
        (reason,) = [one.reason for one in world.run() if one.status == "failed"]
        assert reason.startswith("its process was killed twice while it was restored")
        assert world.held("failed")[moved("1.jpg", PHOTOS[1])] == PHOTOS[1]
        assert len(world.held("done")) == 2
        assert world.held("work") == {}


def test_a_photo_that_kills_a_process_of_its_own_is_set_aside():
    with folder_world() as (world, _, _):
        world.restorer = Restorer(work_elsewhere.die, "m", work_elsewhere.no_rows, world.record)
        world.storage.write("work/left/photos/a.jpg", PHOTOS[0])
        tries = json.dumps({"work/left/photos/a.jpg": 1})
        world.storage.write("work/left/tries.json", tries.encode())
        (ended,) = world.run()
        assert (ended.status, ended.defect) == ("failed", False)
        assert ended.reason.startswith("its process was killed twice")


def test_an_answer_that_could_not_be_written_is_written_by_the_next_try(monkeypatch):
    """Prefect tries again with the same processor."""
    with folder_world() as (world, _, committed):
        put(world, "a.jpg", PHOTOS[0])
        leases, processor = world.leases(), BatchProcessor(world.storage, world.restorer)
        create, failures = world.storage.create, [OSError(5, "Input/output error")]

        def fail(path: str, content: bytes) -> bool:
            if path.endswith(".json") and failures:
                raise failures.pop()
            return create(path, content)

        monkeypatch.setattr(world.storage, "create", fail)
        with leases.take("batch") as lease:
            claim(world.storage, ["a.jpg"], lease, leases)
            with pytest.raises(OSError, match="Input/output"):
                processor.process(lease)
        with leases.take("batch") as lease:
            processor.process(lease)
        check(world, committed, {("a.jpg", PHOTOS[0])})


def test_errors_that_end_a_run_again_and_again_are_no_kills(monkeypatch):
    with folder_world() as (world, _, committed):
        put(world, "a.jpg", PHOTOS[0])
        create = world.storage.create

        def refused(path: str, content: bytes) -> bool:
            return create(path, content) if path.startswith("work/") else refuse(path)

        monkeypatch.setattr(world.storage, "create", refused)
        for _ in range(7):
            with pytest.raises(PermissionError):
                world.run()
        monkeypatch.undo()
        world.run()
        check(world, committed, {("a.jpg", PHOTOS[0])})


@WORLDS
def test_what_another_process_restored_before_it_was_killed_is_not_restored_again(world_of):
    with world_of() as (world, _, committed):
        arrived = {("a.jpg", PHOTOS[0]), ("b.jpg", PHOTOS[1])}
        for name, content in arrived:
            put(world, name, content)
        running = BatchProcessor(world.storage, world.restorer)  # lists the answers now
        first = BatchProcessor(world.storage, Restorer(brighten, "m", world.summarise, refuse_all))
        leases = world.leases()
        with leases.take("batch") as lease:
            claim(world.storage, ["a.jpg", "b.jpg"], lease, leases)
            with pytest.raises(PermissionError):
                first.process(lease)
        with leases.take("batch") as lease:
            assert [one.status for one in running.process(lease)] == ["known", "known"]
        check(world, committed, arrived)


def refuse_all(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


@WORLDS
def test_a_photo_that_comes_late_into_a_batch_outlives_its_end(world_of):
    with world_of() as (world, _, _):
        put(world, "a.jpg", PHOTOS[0])
        leases = world.leases()
        with leases.take("batch") as lease:
            claim(world.storage, ["a.jpg"], lease, leases)
            processor = BatchProcessor(world.storage, world.restorer)
            end = lease.end
            late = "work/batch/photos/b.jpg"
            lease.end = lambda: world.storage.write(late, PHOTOS[1]) or end()
            processor.process(lease)
        assert set(world.held("work")) == {"batch/photos/b.jpg"}
        assert [(one.photo, one.status) for one in world.run()] == [("b.jpg", "restored")]
        assert world.held("work") == {}
        assert len(world.held("done")) == 2


@WORLDS
def test_a_process_whose_clock_stood_still_finds_that_it_lost_its_batch(world_of):
    with world_of() as (world, _, _):
        leases = world.leases("one", seconds=1.0)
        with leases.take("batch") as lease:
            world.storage.write("work/batch/lease-0002", b"two")
            deadline = time.monotonic() + 10
            while not lease._lost:
                assert time.monotonic() < deadline
                Event().wait(0.02)
            with pytest.raises(LeaseLostError, match="is left to others"):
                lease.check()


def test_an_outage_while_a_lease_is_renewed_passes(tmp_path, monkeypatch):
    storage, outages = Folder(tmp_path), [RuntimeError("of a client with errors of its own")] * 2
    write = storage.write

    def away(path: str, content: bytes) -> None:
        if outages:
            raise outages.pop()
        write(path, content)

    monkeypatch.setattr(storage, "write", away)
    with Leases(storage, "one", 2.0).take("batch") as lease:
        begun = lease._renewed
        deadline = time.monotonic() + 10
        while lease._renewed == begun:
            assert time.monotonic() < deadline
            Event().wait(0.02)
        lease.check()
