import pyarrow.parquet as pq
import pytest

from unmask.faces.folder import read_annotations
from unmask.retraining.drops import DropError, DropRecords, copy_good_faces, drops_in
from unmask.retraining.new_faces import NewFacesReport, RejectedFace


def report(good: tuple[str, ...], *refusals: str) -> NewFacesReport:
    return NewFacesReport("mine", 4, good, (RejectedFace("x", "schema", "why"),), refusals)


def test_a_drop_is_known_by_its_bytes(face_folder, tmp_path):
    assert drops_in(tmp_path / "nothing") == []
    folder = face_folder(2)
    (before,) = drops_in(tmp_path)
    assert before.key.startswith("mine-")
    assert drops_in(tmp_path) == [before]
    (folder / "000.png").write_bytes((folder / "001.png").read_bytes())
    (after,) = drops_in(tmp_path)
    assert after.key != before.key
    (tmp_path / "mine.parquet").write_bytes((folder / "annotations.parquet").read_bytes())
    assert drops_in(tmp_path) == [after]  # the table inside wins
    (folder / "annotations.parquet").unlink()
    assert drops_in(tmp_path)[0].key != after.key


def test_only_good_faces_are_taken(face_folder, tmp_path):
    folder = face_folder(4)
    (drop,) = drops_in(tmp_path)
    copy_good_faces(drop, report(("000.png", "002.png")), tmp_path / "taken")
    taken = read_annotations(tmp_path / "taken", "folder")
    assert [face.path.name for face in taken] == ["000.png", "002.png"]
    assert {file.name for file in (tmp_path / "taken").iterdir()} == {
        "000.png",
        "002.png",
        "annotations.parquet",
    }
    whole = read_annotations(folder, "folder")
    assert taken[1].landmarks == pytest.approx(whole[2].landmarks)
    assert taken[1].gender == whole[2].gender


def test_a_drop_that_changed_since_it_was_judged_is_not_taken(face_folder, tmp_path):
    folder = face_folder(2)
    (drop,) = drops_in(tmp_path)
    table = pq.read_table(folder / "annotations.parquet")
    pq.write_table(table.slice(0, 1), folder / "annotations.parquet")
    with pytest.raises(DropError, match="changed while it was read"):
        copy_good_faces(drop, report(("000.png",)), tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_records_remember_refusals_and_failed_trainings(face_folder, tmp_path):
    face_folder(2)
    (drop,) = drops_in(tmp_path)
    records = DropRecords(tmp_path / "records")
    assert not records.was_refused(drop)
    assert records.failed_attempts(drop) == 0
    records.save_report(drop, report(("000.png",)))
    assert not records.was_refused(drop)
    assert [records.count_failure(drop) for _ in range(2)] == [1, 2]
    assert DropRecords(tmp_path / "records").failed_attempts(drop) == 2
    assert "why" in (records.save_report(drop, report((), "too few")) / "report.md").read_text()
    assert records.was_refused(drop)
