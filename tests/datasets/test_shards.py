import errno

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.datasets.png import decode_image, decode_mask, encode_image
from unmask.datasets.shards import (
    FACE_SCHEMA,
    ROW_GROUP,
    count_rows,
    new_shards,
    read_rows,
    shards_of,
)
from unmask.faces.dataset import row_of
from unmask.faces.records import Face
from unmask.project import md5_of


def tiny(index: int, split: str = "train") -> Face:
    rng = np.random.default_rng(index)
    return Face(
        image=rng.integers(0, 256, (4, 4, 3), dtype=np.uint8),
        landmarks=rng.random((68, 2), np.float32),
        gender=("male", "female", None)[index % 3],
        valid=rng.random((4, 4)) < 0.5,
        split=split,
        source="folder",
        id=f"folder/{index}",
        scale=0.5,
        age=None if index % 2 else index,
    )


@given(seed=st.integers(0, 999), height=st.integers(1, 40), width=st.integers(1, 40))
def test_pictures_and_masks_come_back_bit_for_bit(seed, height, width):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = rng.random((height, width)) < rng.random()
    np.testing.assert_array_equal(decode_image(encode_image(image)), image)
    decoded = decode_mask(encode_image(mask))
    assert decoded.dtype == bool
    np.testing.assert_array_equal(decoded, mask)


def test_rows_come_back_in_order_split_by_split(tmp_path):
    out = tmp_path / "faces"
    splits = ["train", "val"]
    with new_shards(out, FACE_SCHEMA, shard_rows=4) as shards:
        for index in range(20):
            shards.add(row_of(tiny(index, splits[index % 3 == 0])))
    names = sorted(path.name for path in out.iterdir())
    assert names == [f"train-{n:05d}.parquet" for n in range(4)] + [
        f"val-{n:05d}.parquet" for n in range(2)
    ]
    train = shards_of(out, "train")
    assert [count_rows([shard]) for shard in train] == [4, 4, 4, 1]
    rows = list(read_rows(train))
    assert [row["id"] for row in rows] == [f"folder/{i}" for i in range(20) if i % 3]
    for row in rows:
        face = tiny(int(row["id"].split("/")[1]))
        np.testing.assert_array_equal(decode_image(row["image"]), face.image)
        np.testing.assert_array_equal(decode_mask(row["valid"]), face.valid)
        np.testing.assert_array_equal(
            np.array(row["landmarks"], np.float32).reshape(68, 2), face.landmarks
        )
        assert (row["gender"], row["age"], row["scale"]) == (face.gender, face.age, 0.5)
        assert row["identity"] is None


def test_row_groups_stay_small_and_pandas_opens_the_files(tmp_path):
    with new_shards(tmp_path / "faces", FACE_SCHEMA, shard_rows=600) as shards:
        for index in range(600):
            shards.add(row_of(tiny(index)))
    (path,) = shards_of(tmp_path / "faces", "train")
    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert groups == [ROW_GROUP, ROW_GROUP, 600 - 2 * ROW_GROUP]
    frame = pq.read_table(path).to_pandas()
    assert list(frame.id) == [f"folder/{i}" for i in range(600)]


def test_the_md5_of_shards_follows_their_bytes(tmp_path):
    for name, count in (("a", 3), ("b", 3), ("c", 4)):
        with new_shards(tmp_path / name, FACE_SCHEMA, shard_rows=8) as shards:
            for index in range(count):
                shards.add(row_of(tiny(index)))
    one, same, other = (md5_of(shards_of(tmp_path / name, "train")) for name in "abc")
    assert one == same != other


def test_after_an_error_nothing_is_left_and_what_was_there_stays(tmp_path):
    out = tmp_path / "faces"

    def write(count: int, fail: bool) -> None:
        with new_shards(out, FACE_SCHEMA, shard_rows=2) as shards:
            for index in range(count):
                shards.add(row_of(tiny(index)))
            if fail:
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(5, fail=True)
    assert list(tmp_path.iterdir()) == []
    write(3, fail=False)
    with pytest.raises(OSError, match="No space"):
        write(5, fail=True)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
    assert count_rows(shards_of(out, "train")) == 3
    write(1, fail=False)
    assert count_rows(shards_of(out, "train")) == 1


def test_what_a_killed_run_left_behind_is_not_mixed_in(tmp_path):
    left = tmp_path / ".faces.partial"
    left.mkdir()
    (left / "train-00007.parquet").write_bytes(b"half")
    with new_shards(tmp_path / "faces", FACE_SCHEMA, shard_rows=2) as shards:
        shards.add(row_of(tiny(0)))
    assert [path.name for path in (tmp_path / "faces").iterdir()] == ["train-00000.parquet"]
    assert not left.exists()
