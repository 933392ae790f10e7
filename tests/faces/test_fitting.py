import numpy as np
import pyarrow.parquet as pq
import pytest

from unmask.datasets.splits import split_of
from unmask.faces.fitting import fit_folders
from unmask.faces.folder import SourceError, read_annotations
from unmask.faces.records import framed


def silent(line: str) -> None:
    del line


def whole_person(index: int, row: dict) -> None:
    row["identity"] = "Tony_Blair"  # of split train


def test_a_small_folder_makes_a_model_whose_faces_look_like_the_folders(face_folder, tmp_path):
    folder = face_folder(24, size=128, change=whole_person)
    said: list[str] = []
    model = fit_folders([folder], said.append)
    assert model.about["origin"] == "mine"
    assert 8 <= model.about["faces"] <= 24
    assert said
    sampled = [model.sample(np.random.default_rng(seed), 64) for seed in range(12)]
    true = [framed(item.read(), 64) for item in read_annotations(folder, "folder")]
    mean_shape = np.mean([face.landmarks for face in true], axis=0)
    made_shape = np.mean([face.landmarks for face in sampled], axis=0)
    assert np.abs(made_shape - mean_shape).max() < 4
    middle = np.s_[20:50, 20:44]
    mean_look = np.mean([face.image for face in true], axis=0)[middle]
    made_look = np.mean([face.image for face in sampled], axis=0)[middle]
    assert np.corrcoef(mean_look.ravel(), made_look.ravel())[0, 1] > 0.6
    assert {face.gender for face in sampled} <= {"male", "female"}
    model.save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").stat().st_size > 1000


def test_holdout_faces_never_enter_the_fit(face_folder):
    def held_out(index: int, row: dict) -> None:
        row["identity"] = "George_W_Bush" if index >= 16 else "Tony_Blair"

    assert split_of("George_W_Bush") == "holdout"
    folder = face_folder(26, size=128, change=held_out)
    lines: list[str] = []
    with_held_out = fit_folders([folder], lines.append)
    rows = pq.read_table(folder / "annotations.parquet").slice(0, 16)
    pq.write_table(rows, folder / "annotations.parquet")
    without: list[str] = []
    fit_folders([folder], without.append)
    read = [line for line in lines if line.startswith("read ")]
    assert read == [line for line in without if line.startswith("read ")]
    assert with_held_out.about["faces"] <= 16


def test_faces_whose_detector_was_unsure_are_left_out(face_folder):
    def scored(index: int, row: dict) -> None:
        whole_person(index, row)
        row["detector_score"] = 0.9 if index < 16 else 0.1

    lines: list[str] = []
    fit_folders([face_folder(26, size=128, change=scored)], lines.append)
    read = [int(line.split()[1]) for line in lines if line.startswith("read ")]
    assert len(read) == 1
    assert 8 <= read[0] <= 16


def test_only_holdout_faces_are_too_few(face_folder):
    folder = face_folder(12, change=lambda index, row: row.update(identity="George_W_Bush"))
    with pytest.raises(SourceError, match="at least 8 faces, not 0"):
        fit_folders([folder], silent)


def test_a_broken_picture_is_left_out_and_named(face_folder):
    folder = face_folder(20, size=128, change=whole_person)
    (folder / "003.png").write_bytes(b"no image")
    said: list[str] = []
    assert fit_folders([folder], said.append).about["faces"] >= 8
    assert [line for line in said if "003.png" in line]


def test_one_face_that_cannot_be_aligned_is_left_out_and_named(face_folder):
    def coinciding(index: int, row: dict) -> None:
        whole_person(index, row)
        if index == 3:
            row["landmarks"] = [5.0] * 136

    folder = face_folder(20, size=128, change=coinciding)
    said: list[str] = []
    assert fit_folders([folder], said.append).about["faces"] >= 8
    assert [line for line in said if "003.png" in line]


def test_too_few_faces_and_missing_folders_are_told(face_folder, tmp_path):
    with pytest.raises(SourceError, match="at least 8 faces"):
        fit_folders([face_folder(4)], silent)
    with pytest.raises(SourceError, match="nowhere does not exist"):
        fit_folders([tmp_path / "nowhere"], silent)


def test_the_same_folder_gives_the_same_model(face_folder):
    folder = face_folder(14, size=96, change=whole_person)
    first, second = (fit_folders([folder], silent) for _ in range(2))
    one, two = (model.sample(np.random.default_rng(0), 64) for model in (first, second))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.landmarks, two.landmarks)
