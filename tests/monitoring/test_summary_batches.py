import numpy as np
import pytest

from unmask.errors import UnmaskError
from unmask.monitoring.batches import batches_in, read_batches, write_batch
from unmask.monitoring.summaries import Row


def row(status: str = "restored", brightness: float = 50.0) -> Row:
    figures = dict.fromkeys(
        ("sharpness", "size", "yaw", "colour_l", "colour_a", "colour_b", "gender_male", "score"),
        0.5,
    )
    return {
        "model": "m",
        "status": status,
        "brightness": brightness,
        "mask_fraction": float("nan"),
        "embedding": [1.0, 2.0],
        **figures,
    }


def test_batches_come_back_in_order(tmp_path):
    write_batch([row("no_mask", 1.0), row(brightness=2.0)], tmp_path / "b", "two")
    path = write_batch([row(brightness=3.0)], tmp_path / "b", "one")
    assert path == tmp_path / "b" / "one.parquet"
    assert list(batches_in(tmp_path / "b")) == ["one.parquet", "two.parquet"]
    table = read_batches(tmp_path / "b", ["one.parquet", "two.parquet"])
    assert table["brightness"].tolist() == [3.0, 1.0, 2.0]
    assert table["status"].tolist() == ["restored", "no_mask", "restored"]
    assert np.isnan(table["mask_fraction"]).all()
    assert table["embedding"][0].tolist() == [1.0, 2.0]


def test_the_same_name_replaces_and_the_same_rows_give_the_same_bytes(tmp_path):
    write_batch([row()], tmp_path, "a")
    before = batches_in(tmp_path)
    write_batch([row(), row()], tmp_path, "a")
    assert batches_in(tmp_path).keys() == before.keys()
    assert batches_in(tmp_path) != before
    write_batch([row()], tmp_path, "a")
    assert batches_in(tmp_path) == before


def test_a_batch_without_faces_is_a_batch(tmp_path):
    write_batch([], tmp_path, "none")
    assert len(read_batches(tmp_path, ["none.parquet"])) == 0
    assert len(read_batches(tmp_path, [])) == 0


def test_a_batch_that_cannot_be_written_leaves_the_one_before(tmp_path):
    write_batch([row()], tmp_path, "a")
    before = batches_in(tmp_path)
    with pytest.raises(ValueError, match=r"dark|double|float"):
        write_batch([row(brightness="dark")], tmp_path, "a")
    assert batches_in(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_what_is_no_batch_is_named(tmp_path):
    (tmp_path / "a.parquet").write_text("no table")
    with pytest.raises(UnmaskError, match=r"a\.parquet is no batch of summaries"):
        read_batches(tmp_path, ["a.parquet"])


def test_half_written_files_are_no_batches(tmp_path):
    (tmp_path / ".a.parquet.7.partial").write_text("")
    (tmp_path / ".a.parquet").write_text("")
    assert batches_in(tmp_path) == {}
