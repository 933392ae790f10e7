import errno

import numpy as np
import pyarrow.parquet as pq
import pytest

from unmask.config.params import Params
from unmask.datasets.png import decode_image, decode_mask
from unmask.datasets.shards import read_rows, shards_of
from unmask.datasets.splits import SPLITS, split_of
from unmask.errors import UnmaskError
from unmask.faces import dataset as faces_stage
from unmask.faces.folder import AnnotatedPicture
from unmask.faces.sources import SourceError
from unmask.masking import dataset as masked_stage


def with_faces(params: Params, *sources: dict, workers: int = 1, shard_rows: int = 16) -> Params:
    tree = params.model_dump()
    tree["faces"] = {"sources": list(sources), "workers": workers, "shard_rows": shard_rows}
    tree["masking"] |= {"workers": workers, "variants": 2}
    return Params.model_validate(tree)


def sampled(params: Params, count: int, **more) -> Params:
    return with_faces(params, {"name": "appearance_model", "count": count}, **more)


def from_folder(params: Params, path: str = "mine") -> Params:
    return with_faces(params, {"name": "folder", "path": path})


def bytes_of(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def rows_of(folder) -> list[dict]:
    return [row for split in SPLITS for row in read_rows(shards_of(folder, split))]


def left_in(data) -> list[str]:
    return sorted(path.name for path in data.iterdir()) if data.exists() else []


@pytest.fixture(scope="module")
def made(smoke, tmp_path_factory):
    """Faces and masked faces of 70 samples, made by one process."""
    root = tmp_path_factory.mktemp("made")
    params = sampled(smoke, 70)
    assert faces_stage.make(params, root / "data") == []
    failures = masked_stage.make(params, root / "data")
    return root, failures


def test_four_workers_write_the_bytes_that_one_writes(smoke, made, tmp_path):
    root, failures = made
    params = sampled(smoke, 70, workers=4)
    faces_stage.make(params, tmp_path / "data")
    assert bytes_of(tmp_path / "data" / "faces") == bytes_of(root / "data" / "faces")
    assert masked_stage.make(params, tmp_path / "data") == failures
    assert bytes_of(tmp_path / "data" / "masked") == bytes_of(root / "data" / "masked")


def test_another_seed_writes_other_faces(smoke, made, tmp_path):
    params = sampled(smoke, 2).model_copy(update={"seed": 1})
    faces_stage.make(params, tmp_path / "data")
    known = {row["image"] for row in rows_of(made[0] / "data" / "faces")}
    assert not known & {row["image"] for row in rows_of(tmp_path / "data" / "faces")}


def test_every_face_is_there_once_in_the_split_of_its_identity(made):
    rows = rows_of(made[0] / "data" / "faces")
    assert sorted(row["id"] for row in rows) == [f"appearance_model/0/{n:06d}" for n in range(70)]
    for row in rows:
        assert row["split"] == split_of(row["identity"])
        assert decode_image(row["image"]).shape == (64, 64, 3)
        assert len(row["landmarks"]) == 136


def test_a_masked_face_is_the_face_and_differs_from_it_only_by_mask_and_shadow(made):
    root, failures = made
    faces = {row["id"]: row for row in rows_of(root / "data" / "faces")}
    masked = rows_of(root / "data" / "masked")
    assert len(masked) + len(failures) == len(faces)
    assert len(masked) > 60
    for row in masked:
        variants = row.pop("variants")
        assert row == faces[row["id"]]
        assert len(variants) == (2 if row["split"] == "train" else 1)
        image, mouth = decode_image(row["image"]), np.array(row["landmarks"]).reshape(68, 2)[62]
        for variant in variants:
            mask, worn = decode_mask(variant["mask"]), decode_image(variant["masked"])
            occluded = decode_mask(variant["occluded"])
            hidden = mask | occluded
            assert 0.01 < mask.mean() < 0.7
            assert not (mask & occluded).any()
            see_through = variant["mask_type"] in ("window", "shield")
            assert hidden[int(mouth[1]), int(mouth[0])] or see_through
            # away from the mask nothing changes; near it only a shadow, which darkens
            grown = np.pad(hidden, 14)
            near = np.zeros_like(mask)
            for dy in range(-14, 15):
                for dx in range(-14, 15):
                    near |= grown[14 + dy : 78 + dy, 14 + dx : 78 + dx]
            np.testing.assert_array_equal(worn[~near], image[~near])
            assert (worn[mask] != image[mask]).any(axis=1).mean() > 0.8
        if len(variants) == 2:
            assert variants[0]["masked"] != variants[1]["masked"]


def test_printed_faces_are_lower_halves_and_few():
    one, again, other = (masked_stage.printed_face(index) for index in (0, 0, 1))
    assert one is again
    assert one.dtype == np.uint8
    assert one.ndim == 3
    assert min(one.shape[:2]) > 60
    assert one.shape != other.shape or (one != other).any()


def test_more_faces_change_no_other_faces_mask(smoke, made, tmp_path):
    params = sampled(smoke, 5)
    faces_stage.make(params, tmp_path / "data")
    masked_stage.make(params, tmp_path / "data")
    whole = {row["id"]: row for row in rows_of(made[0] / "data" / "masked")}
    few = rows_of(tmp_path / "data" / "masked")
    assert few
    for row in few:
        assert row == whole[row["id"]]


def test_a_corrupt_picture_is_named_and_the_rest_goes_on(smoke, face_folder, tmp_path, capsys):
    folder = face_folder(4)
    (folder / "002.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (failure,) = faces_stage.make(from_folder(smoke), tmp_path / "data")
    assert "002.png" in failure
    assert failure in capsys.readouterr().out
    assert sorted(row["id"][-7:] for row in rows_of(tmp_path / "data" / "faces")) == [
        "000.png",
        "001.png",
        "003.png",
    ]


def test_a_face_that_cannot_be_aligned_is_named_and_the_rest_goes_on(smoke, face_folder, tmp_path):
    def coinciding(index: int, row: dict) -> None:
        if index == 1:
            row["landmarks"] = [9.0] * 136

    face_folder(3, change=coinciding)
    (failure,) = faces_stage.make(from_folder(smoke), tmp_path / "data")
    assert "001.png" in failure
    assert "eye landmarks coincide" in failure
    assert len(rows_of(tmp_path / "data" / "faces")) == 2


def test_a_face_that_no_mask_fits_is_named_and_left_out(smoke, face_folder, tmp_path):
    def mouth_outside(index: int, row: dict) -> None:
        if index == 1:
            row["landmarks"][96:] = [500.0] * 40

    face_folder(3, change=mouth_outside)
    assert faces_stage.make(from_folder(smoke), tmp_path / "data") == []
    failures = masked_stage.make(from_folder(smoke), tmp_path / "data")
    assert [failure for failure in failures if "001.png" in failure]
    assert len(rows_of(tmp_path / "data" / "masked")) == 3 - len(failures)


def test_only_broken_pictures_are_an_error_that_leaves_no_output(smoke, face_folder, tmp_path):
    folder = face_folder(1)
    (folder / "000.png").write_bytes(b"")
    with pytest.raises(SourceError, match="no face could be read"):
        faces_stage.make(from_folder(smoke), tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_every_photo_is_read_once(smoke, face_folder, tmp_path, monkeypatch):
    face_folder(4)
    read, files = AnnotatedPicture.read, []
    monkeypatch.setattr(
        AnnotatedPicture, "read", lambda item: files.append(item.path.name) or read(item)
    )
    faces_stage.make(from_folder(smoke), tmp_path / "data")
    assert files == ["000.png", "001.png", "002.png", "003.png"]


def test_faces_keep_the_order_of_their_sources(smoke, face_folder, tmp_path):
    face_folder(3)
    drawn = {"name": "appearance_model", "count": 3}
    mine = {"name": "folder", "path": "mine"}
    ids = []
    for index, sources in enumerate([(drawn,), (mine,), (drawn, mine)]):
        data = tmp_path / f"data{index}"
        faces_stage.make(with_faces(smoke, *sources), data)
        ids.append({s: [r["id"] for r in read_rows(shards_of(data / "faces", s))] for s in SPLITS})
    assert ids[2] == {split: ids[0][split] + ids[1][split] for split in SPLITS}


def test_a_missing_source_folder_is_named(smoke, tmp_path):
    with pytest.raises(SourceError, match="nowhere does not exist"):
        faces_stage.make(from_folder(smoke, "nowhere"), tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def test_missing_faces_are_an_error_and_no_empty_data_set(smoke, tmp_path):
    with pytest.raises(UnmaskError, match="faces"):
        masked_stage.make(smoke, tmp_path / "data")
    assert left_in(tmp_path / "data") == []


@pytest.mark.parametrize("landmarks", [None, [1.0, 2.0]])
def test_a_row_without_landmarks_is_named_and_nothing_is_written(
    smoke, face_folder, tmp_path, landmarks
):
    def bare(index: int, row: dict) -> None:
        if index == 1:
            row["landmarks"] = landmarks

    face_folder(3, change=bare)
    with pytest.raises(SourceError, match=r"annotations\.parquet: 001\.png has"):
        faces_stage.make(from_folder(smoke), tmp_path / "data")
    assert left_in(tmp_path / "data") == []


def full_disk_after(tables: int, monkeypatch) -> None:
    """Let the Parquet writer fill the disk with the half of a later table."""
    write, written = pq.write_table, []

    def fill(table, where, **options) -> None:
        if len(written) == tables:
            where.write_bytes(b"PAR1 and no more")
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(where)
        write(table, where, **options)

    monkeypatch.setattr(pq, "write_table", fill)


@pytest.mark.parametrize("tables", [0, 2])
def test_a_full_disk_leaves_nothing_half_written(smoke, tmp_path, monkeypatch, tables):
    params, data = sampled(smoke, 12, shard_rows=2), tmp_path / "data"
    with monkeypatch.context() as patch:
        full_disk_after(tables, patch)
        with pytest.raises(OSError, match="No space left"):
            faces_stage.make(params, data)
    assert left_in(data) == []
    faces_stage.make(params, data)
    before = bytes_of(data / "faces")
    with monkeypatch.context() as patch:
        full_disk_after(tables, patch)
        with pytest.raises(OSError, match="No space left"):
            masked_stage.make(params, data)
    assert left_in(data) == ["faces"]
    assert bytes_of(data / "faces") == before


def test_a_full_disk_keeps_the_data_made_before(smoke, tmp_path, monkeypatch):
    faces_stage.make(sampled(smoke, 2), tmp_path / "data")
    before = bytes_of(tmp_path / "data" / "faces")
    full_disk_after(0, monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        faces_stage.make(sampled(smoke, 3), tmp_path / "data")
    assert bytes_of(tmp_path / "data" / "faces") == before
    assert left_in(tmp_path / "data") == ["faces"]
