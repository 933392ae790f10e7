import csv
import pickle

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.datasets.splits import split_of
from unmask.faces.folder import SourceError, UnreadableImage, read_annotations
from unmask.faces.lfw import read_lfw
from unmask.faces.sources import Sampled
from unmask.faces.utkface import read_utkface


def write_table(path, rows) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def row(file: str = "a.png", **more) -> dict:
    return {"file": file, "landmarks": [float(i) for i in range(136)], **more}


def paint(path, colour=(200, 120, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((24, 32, 3), colour, np.uint8)
    image[3:9, 5:20] = 255
    cv2.imwrite(str(path), image[..., ::-1])


def test_a_row_becomes_a_face_with_its_labels(face_folder):
    folder = face_folder(3)
    faces = [item.read() for item in read_annotations(folder, "folder")]
    for index, face in enumerate(faces):
        true = Sampled(5, index, 80).read()
        np.testing.assert_array_equal(face.image, true.image)
        np.testing.assert_allclose(face.landmarks, true.landmarks)
        assert (face.gender, face.age, face.ethnicity) == (true.gender, true.age, true.ethnicity)
        assert face.valid.all()
        assert face.id == f"folder/mine/{index:03d}.png"
        assert face.split == split_of((folder / f"{index:03d}.png").read_bytes())


def test_csv_says_the_same_as_parquet(face_folder):
    folder = face_folder(3)
    rows = pq.read_table(folder / "annotations.parquet").to_pylist()
    expected = read_annotations(folder, "folder")
    (folder / "annotations.parquet").unlink()
    with (folder / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for values in rows:
            landmarks = " ".join(map(str, values["landmarks"]))
            writer.writerow({**values, "landmarks": landmarks})
    assert read_annotations(folder, "folder") == expected


def test_a_table_beside_the_folder_is_found_and_one_inside_wins(tmp_path):
    folder = tmp_path / "mine"
    paint(folder / "a.png")
    write_table(tmp_path / "mine.parquet", [row(gender="male")])
    assert read_annotations(folder, "folder")[0].gender == "male"
    write_table(folder / "annotations.parquet", [row(gender="female")])
    assert read_annotations(folder, "folder")[0].gender == "female"


def test_unlabelled_rows_are_unknown_and_the_identity_decides_the_split(tmp_path):
    folder = tmp_path / "mine"
    for name in ("a.png", "b.png"):
        paint(folder / name)
    rows = [row("a.png", identity="George_W_Bush", gender=""), row("b.png", identity=None)]
    write_table(folder / "annotations.parquet", rows)
    known, unknown = read_annotations(folder, "folder")
    assert (known.gender, known.age, known.ethnicity) == (None, None, None)
    assert known.read().split == "holdout"
    assert unknown.identity is None
    assert unknown.read().split == split_of((folder / "b.png").read_bytes())


def test_numbers_serve_as_identities_in_csv(tmp_path):
    folder = tmp_path / "mine"
    paint(folder / "a.png")
    landmarks = " ".join(str(i) for i in range(136))
    (folder / "annotations.csv").write_text(f"file,landmarks,identity\na.png,{landmarks},17\n")
    face = read_annotations(folder, "folder")[0].read()
    assert face.identity == "17"
    assert face.split == split_of("17")


def test_items_travel_to_worker_processes(face_folder):
    item = read_annotations(face_folder(1), "folder")[0]
    assert pickle.loads(pickle.dumps(item)) == item


def test_grey_pictures_and_turned_ones_are_read_as_rgb(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.arange(200, dtype=np.uint8).reshape(10, 20))
    write_table(folder / "annotations.parquet", [row()])
    image = read_annotations(folder, "folder")[0].read().image
    assert image.shape == (10, 20, 3)
    np.testing.assert_array_equal(image[..., 0], np.arange(200).reshape(10, 20))
    np.testing.assert_array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + bytes(40), None])
def test_a_picture_that_is_none_is_named(tmp_path, content):
    folder = tmp_path / "mine"
    folder.mkdir()
    if content is not None:
        (folder / "a.png").write_bytes(content)
    write_table(folder / "annotations.parquet", [row()])
    with pytest.raises(UnreadableImage, match=r"a\.png"):
        read_annotations(folder, "folder")[0].read()


def test_a_truncated_jpeg_is_not_taken_for_a_half_grey_face(tmp_path, face_folder):
    folder = face_folder(1, file="{:03d}.jpg".format)
    path = folder / "000.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(UnreadableImage, match=r"000\.jpg"):
        read_annotations(folder, "folder")[0].read()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"file": "a.png"}], "no column 'landmarks'"),
        ([{"landmarks": [0.0] * 136}], "no column 'file'"),
        ([row() | {"landmarks": [1.0, 2.0]}], r"a\.png has 2 landmark numbers"),
        ([row() | {"landmarks": [float("nan")] * 136}], r"a\.png .*136 finite"),
        ([row() | {"landmarks": "x y"}], r"a\.png has no usable landmarks"),
        ([row(), row("b.png") | {"landmarks": None}], r"b\.png has no usable landmarks"),
        ([row(gender="man")], r"a\.png has gender 'man'"),
        ([row(age="old")], r"a\.png.*age"),
        ([row(detector_score="sure")], r"a\.png has detector_score 'sure'"),
        ([row(), row() | {"file": None}], r"annotations\.parquet"),
    ],
)
def test_a_table_that_does_not_fit_names_the_row_or_column(tmp_path, rows, said):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_table(folder / "annotations.parquet", rows)
    with pytest.raises(SourceError, match=said):
        read_annotations(folder, "folder")


def test_an_age_that_is_nan_is_unknown(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_table(folder / "annotations.parquet", [row(age=31.0), row(age=float("nan"))])
    assert [item.age for item in read_annotations(folder, "folder")] == [31, None]


def test_empty_damaged_and_missing_tables_and_folders_are_told_apart(tmp_path):
    folder = tmp_path / "mine"
    with pytest.raises(SourceError, match="mine does not exist"):
        read_annotations(folder, "folder")
    folder.mkdir()
    with pytest.raises(SourceError, match="mine has no annotations"):
        read_annotations(folder, "folder")
    table = folder / "annotations.parquet"
    write_table(table, [row()])
    whole = table.read_bytes()
    for damaged in (b"no parquet at all", whole[: len(whole) // 2], b""):
        table.write_bytes(damaged)
        with pytest.raises(SourceError, match=r"annotations\.parquet cannot be read"):
            read_annotations(folder, "folder")
    schema = pa.schema([("file", pa.string()), ("landmarks", pa.list_(pa.float64()))])
    pq.write_table(schema.empty_table(), table)
    with pytest.raises(SourceError, match="has no rows"):
        read_annotations(folder, "folder")


def test_an_empty_csv_is_a_table_that_cannot_be_read(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "annotations.csv").write_bytes(b"")
    with pytest.raises(SourceError, match=r"annotations\.csv cannot be read"):
        read_annotations(folder, "folder")


@given(
    age=st.integers(1, 116),
    gender=st.sampled_from([("0", "male"), ("1", "female")]),
    ethnicity=st.sampled_from(list(enumerate(["white", "black", "asian", "indian", "other"]))),
)
def test_utkface_reads_labels_from_the_name(tmp_path_factory, age, gender, ethnicity):
    folder = tmp_path_factory.mktemp("utk") / "utkface"
    folder.mkdir()
    name = f"{age}_{gender[0]}_{ethnicity[0]}_20170112213500903.jpg.chip.jpg"
    write_table(folder.with_suffix(".parquet"), [row(name)])
    (item,) = read_utkface(folder)
    assert (item.age, item.gender, item.ethnicity) == (age, gender[1], ethnicity[1])
    assert item.id == f"utkface/utkface/{name}"


def test_utkface_in_its_real_layout(tmp_path):
    folder = tmp_path / "utkface"
    name = "100_0_0_20170112213500903.jpg"
    paint(folder / name)
    labels = {"age": 99, "gender": "female", "ethnicity": "asian", "detector_score": 0.5}
    table = [row(name, **labels) | {"landmarks": list(range(136))}]
    write_table(tmp_path / "utkface.parquet", table)
    face = read_utkface(folder)[0].read()
    # what the table says goes before what the name says
    assert (face.age, face.gender, face.ethnicity) == (99, "female", "asian")
    assert face.identity is None
    assert face.split == split_of((folder / name).read_bytes())
    assert face.image.shape == (24, 32, 3)


def test_utkface_refuses_names_without_labels(tmp_path):
    folder = tmp_path / "utkface"
    folder.mkdir()
    write_table(tmp_path / "utkface.parquet", [row("portrait.jpg")])
    with pytest.raises(SourceError, match=r"portrait\.jpg is not named age_gender"):
        read_utkface(folder)
    write_table(tmp_path / "utkface.parquet", [row("portrait.jpg", gender="male")])
    assert read_utkface(folder)[0].gender == "male"


def test_lfw_in_its_real_layout_keeps_a_person_in_one_split(tmp_path):
    folder = tmp_path / "lfw"
    files = [f"{who}/{who}_{n:04d}.jpg" for who in ("Aaron_Eckhart", "Tony_Blair") for n in (1, 2)]
    for number, file in enumerate(files):
        paint(folder / file, (50 * number, 90, 30))
    write_table(
        tmp_path / "lfw.parquet",
        [row(file, gender="male", gender_from="first name") for file in files],
    )
    faces = [item.read() for item in read_lfw(folder)]
    assert [face.identity for face in faces] == ["Aaron_Eckhart"] * 2 + ["Tony_Blair"] * 2
    assert [face.split for face in faces] == ["gate"] * 2 + ["train"] * 2
    assert faces[0].id == "lfw/lfw/Aaron_Eckhart/Aaron_Eckhart_0001.jpg"


def test_lfw_prefers_the_tables_identity(tmp_path):
    folder = tmp_path / "lfw"
    folder.mkdir()
    write_table(tmp_path / "lfw.parquet", [row("x/y.jpg", identity="Tony_Blair"), row("x/z.jpg")])
    assert [item.identity for item in read_lfw(folder)] == ["Tony_Blair", "x"]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_table_parted_by_other_marks_than_commas_is_told(tmp_path, mark):
    paint(tmp_path / "a.png")
    table = f"file{mark}landmarks\na.png{mark}{' '.join(map(str, range(136)))}\n"
    (tmp_path / "annotations.csv").write_text(table)
    with pytest.raises(SourceError, match="parted by semicolons or tabs, so write them with comm"):
        read_annotations(tmp_path, "folder")
