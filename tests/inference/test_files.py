import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unmask.inference import photo
from unmask.inference.files import inputs_of, restore_files
from unmask.inference.photo import StoredRestorer, stored_restorer
from unmask.inference.pictures import decode_picture, encode_picture
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    PictureError,
    Restoration,
    RestoreOptions,
)
from unmask.inference.runtime import THREADS
from unmask.masking.samples import write_samples
from unmask.networks import RELEASED


def paint(path: Path, value: int = 50) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_picture(np.full((20, 30, 3), value, np.uint8)))
    return path


def brighten(picture: np.ndarray, options: RestoreOptions) -> Restoration:
    """Restores the left half to white; a picture that is black shows no mask."""
    hole = np.zeros(picture.shape[:2], bool)
    hole[:, : hole.shape[1] // 2] = picture.any()
    landmarks = np.arange(136, dtype=np.float32).reshape(68, 2)
    status, reason = ("restored", "") if hole.any() else ("no_mask", "no mask was found")
    answer = FaceAnswer(status, reason, (0.0, 1.0, 134.0, 135.0), landmarks, 0.25, 0.5, 0.875)
    white, *greys = (
        np.where(hole[..., None], 255 - 10 * i, picture).astype(np.uint8)
        for i in range(options.samples + 1)
    )
    return Restoration(white, hole, hole, [answer], tuple(greys))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_stands_for_its_pictures_in_order(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", "deep/d.png"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    alone = paint(tmp_path / "deep" / "alone.dat")
    files = inputs_of([tmp_path, alone])
    assert [file.name for file in files] == ["a.JPG", "b.png", "c.webp", "alone.dat"]


def test_a_folder_inside_a_folder_that_is_named_like_a_picture_is_none(tmp_path):
    paint(tmp_path / "a.png")
    (tmp_path / "holiday.jpg").mkdir()
    assert [file.name for file in inputs_of([tmp_path])] == ["a.png"]


def test_missing_and_empty_inputs_are_told(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere\.png does not exist"):
        inputs_of([paint(tmp_path / "a.png"), tmp_path / "nowhere.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="no pictures were found"):
        inputs_of([tmp_path / "empty"])
    with pytest.raises(PictureError, match="no pictures were found"):
        inputs_of([])


def test_stems_that_collide_are_an_error_that_names_both(tmp_path):
    one, two = paint(tmp_path / "x" / "a.png"), paint(tmp_path / "y" / "a.jpg")
    with pytest.raises(PictureError, match=r"x/a\.png and .*y/a\.jpg would both"):
        inputs_of([one, two])
    assert inputs_of([one, one.with_name("a.png")]) == [one, one]


def test_a_mask_and_a_picture_of_one_name_collide_too(tmp_path):
    """`a.png` with --save-masks writes a.mask.png, and so does the input `a.mask.png`."""
    paint(tmp_path / "in" / "a.png", 60)
    paint(tmp_path / "in" / "a.mask.png", 90)
    with pytest.raises(PictureError, match=r"a\.mask\.png"):
        list(
            restore_files(
                inputs_of([tmp_path / "in"]), tmp_path / "out", brighten, "m", save_masks=True
            )
        )


def test_restoring_writes_picture_mask_and_answer(tmp_path):
    files = [paint(tmp_path / "in" / "a.png", 60), paint(tmp_path / "in" / "b.png", 0)]
    out = tmp_path / "deep" / "out"
    answers = list(restore_files(files, out, brighten, "unmask version 3", save_masks=True))
    assert [(a.source, a.error) for a in answers] == [(file, "") for file in files]
    assert names(out) == ["a.json", "a.mask.png", "a.png", "b.json", "b.mask.png", "b.png"]
    for file, answer in zip(files, answers, strict=True):
        expected = brighten(decode_picture(file.read_bytes(), "a"), DEFAULT_OPTIONS)
        picture = decode_picture((out / file.name).read_bytes(), "a")
        np.testing.assert_array_equal(picture, expected.picture)
        with Image.open(out / f"{file.stem}.mask.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), np.where(expected.hole, 255, 0))
        document = json.loads((out / f"{file.stem}.json").read_text())
        assert document == {
            "schema_version": 1,
            "model": "unmask version 3",
            "seed": 0,
            "faces": answer.faces,
        }
        (face,) = answer.faces
        assert set(face) == {
            "status", "reason", "box", "landmarks", "gender_male", "mask_fraction", "score",
        }  # fmt: skip
        assert len(face["landmarks"]) == 68
        assert face["landmarks"][1] == [2.0, 3.0]
    assert [answer.faces[0]["status"] for answer in answers] == ["restored", "no_mask"]
    with Image.open(out / "a.png") as synthesised, Image.open(out / "b.png") as untouched:
        assert "version 3" in synthesised.info["Software"]
        assert untouched.info == {}


def test_samples_are_written_beside_the_answer_with_their_spread(tmp_path):
    files = [paint(tmp_path / "in" / "a.png", 60), paint(tmp_path / "in" / "b.png", 0)]
    out = tmp_path / "out"
    list(restore_files(files, out, brighten, "m", options=RestoreOptions(samples=2, seed=5)))
    for stem in ("a", "b"):
        samples = [
            decode_picture((out / f"{stem}.sample-{i}.png").read_bytes(), stem) for i in (1, 2)
        ]
        spread = np.asarray(Image.open(out / f"{stem}.uncertainty.png"))
        assert spread.shape == (20, 30)
        expected = np.stack(samples).astype(np.float32).std(axis=0).mean(axis=2)
        np.testing.assert_allclose(spread, 4 * expected, atol=1)
    assert spread.max() == 0
    assert json.loads((out / "a.json").read_text())["seed"] == 5
    assert len(names(out)) == 10


def test_a_comparison_shows_the_picture_given_beside_the_restored_one(tmp_path):
    given = paint(tmp_path / "in" / "a.png", 60)
    list(restore_files([given], tmp_path / "out", brighten, "m", compare=True))
    beside, before, after = (
        decode_picture(path.read_bytes(), path.name)
        for path in (tmp_path / "out" / "a.compare.png", given, tmp_path / "out" / "a.png")
    )
    np.testing.assert_array_equal(beside, np.concatenate([before, after], axis=1))


def test_masks_are_written_only_when_asked(tmp_path):
    list(restore_files([paint(tmp_path / "a.png")], tmp_path / "out", brighten, "m"))
    assert names(tmp_path / "out") == ["a.json", "a.png"]


def test_what_is_no_image_is_reported_and_the_rest_goes_on(tmp_path):
    good = [paint(tmp_path / "in" / name) for name in ("a.png", "z.png")]
    bad = tmp_path / "in" / "m.png"
    bad.write_bytes(b"no image")
    empty = tmp_path / "in" / "n.png"
    empty.touch()
    answers = list(restore_files([good[0], bad, empty, good[1]], tmp_path / "out", brighten, "m"))
    assert [bool(answer.error) for answer in answers] == [False, True, True, False]
    assert str(bad) in answers[1].error
    assert str(empty) in answers[2].error
    assert answers[1].faces == []
    assert names(tmp_path / "out") == ["a.json", "a.png", "z.json", "z.png"]


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_goes_on(tmp_path):
    gone, good = tmp_path / "gone.png", paint(tmp_path / "a.png")
    answers = list(restore_files([gone, good], tmp_path / "out", brighten, "m"))
    assert "gone.png" in answers[0].error
    assert answers[1].error == ""


def test_the_pictures_given_are_never_overwritten(tmp_path):
    source = paint(tmp_path / "a.png")
    before = source.read_bytes()
    with pytest.raises(PictureError, match=r"a\.png"):
        list(restore_files([source], tmp_path, brighten, "m"))
    assert source.read_bytes() == before


def test_answers_come_one_by_one(tmp_path):
    files = [paint(tmp_path / name) for name in ("a.png", "b.png")]
    seen: list[int] = []

    def restore(picture: np.ndarray, options: RestoreOptions) -> Restoration:
        seen.append(1)
        return brighten(picture, options)

    answers = iter(restore_files(files, tmp_path / "out", restore, "m"))
    next(answers)
    assert len(seen) == 1
    assert names(tmp_path / "out") == ["a.json", "a.png"]


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="out could not be made"):
        list(restore_files([paint(tmp_path / "a.png")], tmp_path / "out", brighten, "m"))


def test_a_skipped_face_has_no_landmarks():
    answer = FaceAnswer("skipped", "too small", (0.0, 0.0, 9.0, 9.0), None, 0.5, 0.0, 0.0)
    assert answer.as_json()["landmarks"] == []
    assert json.loads(json.dumps(answer.as_json()))["reason"] == "too small"


def test_two_workers_write_what_one_writes(tmp_path):
    write_samples(tmp_path / "in", 4, 96, 3, masked=True)
    (tmp_path / "in" / "face-0001.png").write_bytes(b"no picture")
    files, written = inputs_of([tmp_path / "in"]), []
    for workers, threads in ((1, 2), (2, 1)):
        restorer, out = StoredRestorer(RELEASED, True, threads), tmp_path / str(workers)
        answers = list(restore_files(files, out, restorer, "m", workers=workers))
        assert [answer.source for answer in answers] == files
        assert [bool(answer.error) for answer in answers] == [False, True, False, False]
        written.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert len(written[0]) == 6
    assert written[0] == written[1]


def test_pictures_are_shared_among_processes_that_use_no_more_than_all_cores(monkeypatch):
    monkeypatch.setattr(photo, "CORES", 4)
    monkeypatch.delenv(THREADS, raising=False)

    def shared(pictures: int, threads: int | None = None) -> tuple[int, int]:
        restorer, workers = stored_restorer(RELEASED, pictures, crop=True, threads=threads)
        assert restorer == StoredRestorer(RELEASED, True, restorer.threads)
        return restorer.threads, workers

    assert shared(1) == (4, 1)
    assert shared(8) == (1, 2)
    assert shared(1000) == (1, 4)
    assert shared(1000, threads=2) == (2, 2)
    assert shared(1000, threads=8) == (8, 1)
    monkeypatch.setenv(THREADS, "2")
    assert shared(1000) == (2, 2)
