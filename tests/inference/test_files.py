import json
import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from restorations import paint, whole

from unmask.inference import photo
from unmask.inference.answers import PICTURE_ALONE, Outputs
from unmask.inference.files import restore_files
from unmask.inference.inputs import Inputs
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE
from unmask.inference.photo import StoredRestorer, stored_restorer
from unmask.inference.pictures import decode_picture
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    Restoration,
    RestoreOptions,
)
from unmask.inference.runtime import THREADS
from unmask.masking.samples import write_samples
from unmask.networks import RELEASED, chain_md5


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
    return whole(picture, white, hole, answer, tuple(greys))


MASK_TOO = Outputs(save_masks=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_subfolders_are_taken_when_asked_and_kept_in_the_answers(tmp_path):
    for name in ("in/a.png", "in/deep/a.png", "in/deep/er/b.png", "in/.git/c.png"):
        paint(tmp_path / name)
    inputs = Inputs([tmp_path / "in"], recursive=True)
    assert inputs.left_out == {}
    answers = list(restore_files(inputs, tmp_path / "out", brighten, "m"))
    assert [answer.error for answer in answers] == ["", "", ""]
    written = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.png")}
    assert {path.as_posix() for path in written} == {
        "a.restored.png",
        "deep/a.restored.png",
        "deep/er/b.restored.png",
    }


def test_two_inputs_of_one_stem_are_refused_and_the_rest_goes_on(tmp_path):
    one, two = paint(tmp_path / "in" / "a.png"), paint(tmp_path / "in" / "a.jpg")
    paint(tmp_path / "in" / "b.png")
    inputs = Inputs([tmp_path / "in"])
    answers = {a.source: a for a in restore_files(inputs, tmp_path / "out", brighten, "m")}
    for file in (one, two):
        assert str(one) in answers[file].error
        assert str(two) in answers[file].error
    assert names(tmp_path / "out") == ["b.restored.json", "b.restored.png"]


def test_restoring_into_the_inputs_folder_again_restores_no_answer(tmp_path):
    paint(tmp_path / "a.png", 60)
    paint(tmp_path / "b.png", 0)
    outputs = Outputs(save_masks=True, compare=True)
    written = []
    for _ in range(2):
        inputs = Inputs([tmp_path])
        assert [one.file.name for one in inputs] == ["a.png", "b.png"]
        assert inputs.left_out == {}
        options = RestoreOptions(samples=1)
        list(restore_files(inputs, tmp_path, brighten, "m", outputs=outputs, options=options))
        written.append({file.name: file.read_bytes() for file in tmp_path.iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) == 2 * 7


def test_answers_that_were_left_without_their_json_are_known_by_their_mark(tmp_path):
    paint(tmp_path / "a.png", 60)
    list(restore_files(Inputs([tmp_path]), tmp_path, brighten, "m", outputs=MASK_TOO))
    (tmp_path / "a.restored.json").unlink()
    assert [file.name for file in [one.file for one in Inputs([tmp_path])]] == ["a.png"]


def test_a_picture_that_is_named_like_a_mask_is_no_answer_and_is_not_overwritten(tmp_path):
    paint(tmp_path / "a.png", 60)
    before = paint(tmp_path / "a.mask.png", 90).read_bytes()
    inputs = Inputs([tmp_path])
    assert len(inputs.first) == 2
    answers = {
        answer.source.name: answer.error
        for answer in restore_files(inputs, tmp_path, brighten, "m", outputs=MASK_TOO)
    }
    assert "written over an input" in answers["a.png"]
    assert answers["a.mask.png"] == ""
    assert (tmp_path / "a.mask.png").read_bytes() == before
    assert not (tmp_path / "a.restored.png").exists()


def test_a_run_that_was_stopped_goes_on(tmp_path):
    paint(tmp_path / "in" / "a.png", 60)
    paint(tmp_path / "in" / "b.png", 70)
    seen: list[int] = []

    def restore(picture: np.ndarray, options: RestoreOptions) -> Restoration:
        seen.append(int(picture[0, 0, 0]))
        return brighten(picture, options)

    def run(outputs: Outputs = PICTURE_ALONE) -> list[bool]:
        seen.clear()
        inputs = Inputs([tmp_path / "in"])
        out = tmp_path / "out"
        answers = restore_files(inputs, out, restore, "m", outputs=outputs, skip_existing=True)
        return [answer.existing for answer in answers]

    assert run() == [False, False]
    (tmp_path / "out" / "b.restored.json").unlink()
    assert run() == [True, False]
    assert seen == [70]
    paint(tmp_path / "in" / "a.png", 80)
    assert run() == [False, True], "other bytes under an old name"
    assert run(MASK_TOO) == [False, False], "the masks were not written before"
    assert run(MASK_TOO) == [True, True]
    (tmp_path / "out" / "a.mask.png").unlink()
    assert run(MASK_TOO) == [False, True]
    (tmp_path / "out" / "a.restored.json").write_text("{")
    assert run() == [False, True]


def test_a_name_that_is_too_long_ends_its_file_alone(tmp_path):
    long = "x" * 244 + ".png"
    paint(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / long)
    paint(tmp_path / "in" / "b.png")
    inputs = Inputs([tmp_path / "in"])
    errors = [a.error for a in restore_files(inputs, tmp_path / "out", brighten, "m")]
    assert errors[0] == ""
    assert "too long" in errors[1]
    assert names(tmp_path / "out") == ["b.restored.json", "b.restored.png"]
    (tmp_path / "in" / long).rename(tmp_path / "in" / ("y" * 237 + ".png"))
    inputs = Inputs([tmp_path / "in"])
    assert not any(a.error for a in restore_files(inputs, tmp_path / "out", brighten, "m"))


def test_a_defect_ends_its_file_alone_and_keeps_its_traceback(tmp_path):
    def restore(picture: np.ndarray, options: RestoreOptions) -> Restoration:
        if picture[0, 0, 0] == 60:
            raise ZeroDivisionError("of a network")
        return brighten(picture, options)

    for name, value in (("a.png", 60), ("b.png", 70)):
        paint(tmp_path / "in" / name, value)
    inputs = Inputs([tmp_path / "in"])
    first, second = restore_files(inputs, tmp_path / "out", restore, "m")
    assert "a.png: a defect of the code, ZeroDivisionError: of a network" in first.error
    assert "Traceback" in first.defect
    assert second.error == ""


def test_names_that_are_no_text_survive(tmp_path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9|.png"
    paint(tmp_path / "a.png")
    os.rename(os.fsencode(tmp_path / "a.png"), raw)
    inputs = Inputs([tmp_path])
    (answer,) = restore_files(inputs, tmp_path / "out", brighten, "m")
    assert answer.error == ""
    assert r"caf\udce9|.png: restored" in answer.sentence
    assert json.loads(next((tmp_path / "out").glob("*.json")).read_text())["faces"]


def test_restoring_writes_picture_mask_and_answer(tmp_path):
    files = [paint(tmp_path / "in" / "a.png", 60), paint(tmp_path / "in" / "b.png", 0)]
    out = tmp_path / "deep" / "out"
    inputs = Inputs(files)
    answers = list(restore_files(inputs, out, brighten, "unmask version 3", outputs=MASK_TOO))
    assert [(a.source, a.error) for a in answers] == [(file, "") for file in files]
    ends = ("mask.png", "restored.json", "restored.png")
    assert names(out) == [f"{stem}.{end}" for stem in "ab" for end in ends]
    for file, answer in zip(files, answers, strict=True):
        expected = brighten(decode_picture(file.read_bytes(), "a"), DEFAULT_OPTIONS)
        picture = decode_picture((out / f"{file.stem}.restored.png").read_bytes(), "a")
        np.testing.assert_array_equal(picture, expected.picture)
        with Image.open(out / f"{file.stem}.mask.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), np.where(expected.hole, 255, 0))
        document = json.loads((out / f"{file.stem}.restored.json").read_text())
        assert document == {
            "schema_version": 1,
            "model": "unmask version 3",
            "seed": 0,
            "digital_source_type": DIGITAL_SOURCE_TYPE if expected.altered else None,
            "warnings": [],
            "faces": answer.faces,
            "input": {"name": file.name, "sha256": sha256(file.read_bytes()).hexdigest()},
            "files": {"picture": f"{file.stem}.restored.png", "mask": f"{file.stem}.mask.png"},
        }
        (face,) = answer.faces
        assert set(face) == {
            "status", "reason", "box", "landmarks", "gender_male", "mask_fraction", "score",
        }  # fmt: skip
        assert len(face["landmarks"]) == 68
        assert face["landmarks"][1] == [2.0, 3.0]
    assert [answer.faces[0]["status"] for answer in answers] == ["restored", "no_mask"]
    with Image.open(out / "a.restored.png") as synthesised:
        assert "version 3" in synthesised.info["Software"]
    assert (out / "b.restored.png").read_bytes() == files[1].read_bytes()


def test_samples_are_written_beside_the_answer_with_their_spread(tmp_path):
    files = [paint(tmp_path / "in" / "a.png", 60), paint(tmp_path / "in" / "b.png", 0)]
    out = tmp_path / "out"
    options = RestoreOptions(samples=2, seed=5)
    list(restore_files(Inputs(files), out, brighten, "m", options=options))
    for stem in ("a", "b"):
        samples = [
            decode_picture((out / f"{stem}.sample-{i}.png").read_bytes(), stem) for i in (1, 2)
        ]
        spread = np.asarray(Image.open(out / f"{stem}.uncertainty.png"))
        assert spread.shape == (20, 30)
        expected = np.stack(samples).astype(np.float32).std(axis=0).mean(axis=2)
        np.testing.assert_allclose(spread, 4 * expected, atol=1)
    assert spread.max() == 0
    assert json.loads((out / "a.restored.json").read_text())["seed"] == 5
    assert len(names(out)) == 10


def test_a_comparison_shows_the_picture_given_beside_the_restored_one(tmp_path):
    given = paint(tmp_path / "in" / "a.png", 60)
    outputs = Outputs(compare=True)
    list(restore_files(Inputs([given]), tmp_path / "out", brighten, "m", outputs=outputs))
    beside, before, after = (
        decode_picture(path.read_bytes(), path.name)
        for path in (tmp_path / "out" / "a.compare.png", given, tmp_path / "out" / "a.restored.png")
    )
    np.testing.assert_array_equal(beside, np.concatenate([before, after], axis=1))


def test_an_untouched_picture_of_a_format_that_is_not_written_is_answered_as_png(tmp_path):
    for kind in ("gif", "bmp"):
        Image.new("RGB", (30, 20)).save(tmp_path / f"{kind}.{kind}")
    list(restore_files(Inputs([tmp_path]), tmp_path / "out", brighten, "m"))
    for kind in ("gif", "bmp"):
        with Image.open(tmp_path / "out" / f"{kind}.restored.png") as answer:
            assert answer.format == "PNG"


def test_masks_are_written_only_when_asked(tmp_path):
    list(restore_files(Inputs([paint(tmp_path / "a.png")]), tmp_path / "out", brighten, "m"))
    assert names(tmp_path / "out") == ["a.restored.json", "a.restored.png"]


def test_what_is_no_image_is_reported_and_the_rest_goes_on(tmp_path):
    for name in ("a.png", "z.png"):
        paint(tmp_path / "in" / name)
    bad = tmp_path / "in" / "m.png"
    bad.write_bytes(b"no image")
    empty = tmp_path / "in" / "n.png"
    empty.touch()
    answers = list(restore_files(Inputs([tmp_path / "in"]), tmp_path / "out", brighten, "m"))
    assert [bool(answer.error) for answer in answers] == [False, True, True, False]
    assert str(bad) in answers[1].error
    assert str(empty) in answers[2].error
    assert answers[1].faces == []
    written = [f"{stem}.restored.{end}" for stem in "az" for end in ("json", "png")]
    assert names(tmp_path / "out") == written


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_goes_on(tmp_path):
    gone, good = paint(tmp_path / "gone.png"), paint(tmp_path / "a.png")
    inputs = Inputs([gone, good])
    gone.unlink()
    answers = list(restore_files(inputs, tmp_path / "out", brighten, "m"))
    assert "gone.png" in answers[0].error
    assert answers[1].error == ""


def test_answers_come_one_by_one(tmp_path):
    files = [paint(tmp_path / name) for name in ("a.png", "b.png")]
    seen: list[int] = []

    def restore(picture: np.ndarray, options: RestoreOptions) -> Restoration:
        seen.append(1)
        return brighten(picture, options)

    answers = iter(restore_files(Inputs(files), tmp_path / "out", restore, "m"))
    next(answers)
    assert len(seen) == 1
    assert names(tmp_path / "out") == ["a.restored.json", "a.restored.png"]


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OSError, match="out could not be made"):
        list(restore_files(Inputs([paint(tmp_path / "a.png")]), tmp_path / "out", brighten, "m"))


def test_a_skipped_face_has_no_landmarks():
    answer = FaceAnswer("skipped", "too small", (0.0, 0.0, 9.0, 9.0), None, 0.5, 0.0, 0.0)
    assert answer.as_json()["landmarks"] == []
    assert json.loads(json.dumps(answer.as_json()))["reason"] == "too small"


def test_two_workers_write_what_one_writes(tmp_path):
    write_samples(tmp_path / "in", 4, 96, 3, masked=True)
    (tmp_path / "in" / "face-0001.png").write_bytes(b"no picture")
    inputs = Inputs([tmp_path / "in"])
    files, written, crop = [one.file for one in inputs], [], RestoreOptions(crop=True)
    for workers, threads in ((1, 2), (2, 1)):
        restorer, out = (
            StoredRestorer(RELEASED, threads, chain_md5(RELEASED)),
            tmp_path / str(workers),
        )
        answers = list(restore_files(inputs, out, restorer, "m", options=crop, workers=workers))
        assert [answer.source for answer in answers] == files
        assert [bool(answer.error) for answer in answers] == [False, True, False, False]
        written.append({file.name: file.read_bytes() for file in out.iterdir()})
    assert len(written[0]) == 6
    assert written[0] == written[1]


def test_pictures_are_shared_among_processes_that_use_no_more_than_all_cores(monkeypatch):
    monkeypatch.setattr(photo, "CORES", 4)
    monkeypatch.delenv(THREADS, raising=False)

    def shared(pictures: int, threads: int | None = None) -> tuple[int, int]:
        restorer, workers = stored_restorer(RELEASED, pictures, threads)
        assert restorer == StoredRestorer(RELEASED, restorer.threads, chain_md5(RELEASED))
        return restorer.threads, workers

    assert shared(1) == (4, 1)
    assert shared(8) == (1, 2)
    assert shared(1000) == (1, 4)
    assert shared(1000, threads=2) == (2, 2)
    assert shared(1000, threads=8) == (8, 1)
    monkeypatch.setenv(THREADS, "2")
    assert shared(1000) == (2, 2)
