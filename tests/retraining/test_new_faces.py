import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.config.params import Params, Source
from unmask.faces.sources import Sampled
from unmask.geometry.landmarks import mirrored
from unmask.retraining.new_faces import judge_faces, known_hashes, shape_error

FACE = Sampled(0, 0, 100).read().landmarks.astype(np.float64)


def params_with(smoke: Params, **rules: float) -> Params:
    new_data = smoke.loop.new_data.model_copy(update=rules)
    faces = smoke.faces.model_copy(update={"workers": 1})
    loop = smoke.loop.model_copy(update={"new_data": new_data})
    return smoke.model_copy(update={"loop": loop, "faces": faces})


@pytest.fixture
def lenient(smoke) -> Params:
    return params_with(smoke, failures=0.5)


def test_good_faces_are_accepted_with_a_report(face_folder, lenient, tmp_path):
    report = judge_faces(face_folder(6), lenient, {})
    assert report.accepted
    assert report.good == tuple(f"{i:03d}.png" for i in range(6))
    assert report.failures == ()
    report.write(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["accepted"] is True
    assert "**Accepted.**" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"gender": "man"}, "schema", "gender 'man'"),
        ({"landmarks": [1.0] * 10}, "schema", "10 landmark numbers"),
        ({"file": "../outside.png"}, "schema", "outside the folder"),
        ({"file": "001.png"}, "duplicate", "has a row already"),
        ({"file": "gone.png"}, "picture", "No such file"),
        ({"age": 300}, "range", "age 300"),
        ({"age": -1}, "range", "age -1"),
        ({"landmarks": (FACE * 0.1 + 20).ravel().tolist()}, "landmarks", "pixels apart"),
        ({"landmarks": (FACE + 45).ravel().tolist()}, "landmarks", "outside the picture"),
        ({"landmarks": (FACE[::-1] * 0.8).ravel().tolist()}, "landmarks", "no face's"),
    ],
)
def test_one_bad_face_is_left_out_with_its_reason(face_folder, lenient, change, kind, words):
    report = judge_faces(
        face_folder(6, change=lambda i, row: row.update(change if i == 2 else {})), lenient, {}
    )
    (failure,) = report.failures
    assert failure.kind == kind
    assert words in failure.reason
    assert report.accepted
    assert len(report.good) == 5
    assert f"| {kind} |" in report.as_markdown()


def test_a_picture_that_is_none_is_left_out(face_folder, lenient):
    folder = face_folder(6)
    (folder / "004.png").write_text("no picture")
    (failure,) = judge_faces(folder, lenient, {}).failures
    assert (failure.file, failure.kind) == ("004.png", "picture")


def test_a_face_saved_again_is_left_out(face_folder, lenient):
    first = Sampled(5, 0, 80).read().landmarks.ravel().tolist()
    folder = face_folder(
        6, change=lambda i, row: row.update({"landmarks": first} if i in (0, 3) else {})
    )
    picture = cv2.imread(str(folder / "000.png")).astype(int)
    cv2.imwrite(str(folder / "003.png"), np.clip(picture + 6, 0, 255).astype(np.uint8))
    (failure,) = judge_faces(folder, lenient, {}).failures
    assert (failure.file, failure.reason) == ("003.png", "repeats folder/mine/000.png")


def test_pictures_that_the_sources_have_are_left_out(face_folder, smoke):
    there = face_folder(4, name="there")
    sources = (Source(name="folder", path="there"),)
    strict = params_with(smoke, failures=0.0)
    params = strict.model_copy(
        update={"faces": strict.faces.model_copy(update={"sources": sources})}
    )
    known = known_hashes(params, there.parent)
    assert set(known) == {f"folder/there/{i:03d}.png" for i in range(4)}
    report = judge_faces(face_folder(6, name="new"), params, known)
    assert [f.reason for f in report.failures] == [
        f"repeats folder/there/{i:03d}.png" for i in range(4)
    ]
    assert report.refusals == (
        "4 of 6 faces fail (67%), at most 0% may",
        "2 good faces, at least 4 wanted",
    )


def test_a_folder_without_a_table_is_refused(tmp_path, smoke):
    (tmp_path / "empty").mkdir()
    report = judge_faces(tmp_path / "empty", smoke, {})
    assert not report.accepted
    assert "has no annotations" in report.refusals[0]


@given(st.floats(0.2, 5), st.floats(-np.pi, np.pi), st.floats(-50, 50), st.floats(-50, 50))
def test_where_and_how_large_a_face_is_does_not_matter(scale, angle, x, y):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert shape_error(FACE @ turn.T + (x, y)) == pytest.approx(shape_error(FACE), abs=1e-3)


@given(st.permutations(range(68)))
def test_landmarks_in_another_order_are_no_face(order):
    moved = sum(a != b for a, b in enumerate(order))
    eyes = np.linalg.norm(FACE[list(order)][36:42].mean(0) - FACE[list(order)][42:48].mean(0))
    if moved > 40 and eyes > 1:
        assert shape_error(FACE[list(order)]) > 0.6


def test_a_mirrored_face_is_a_face_and_one_with_swapped_sides_is_none():
    assert shape_error(mirrored(FACE, 100)) < 0.3
    swapped = FACE * (-1, 1) + (100, 0)
    assert shape_error(swapped) > 0.6
