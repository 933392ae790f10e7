"""What the page shows of a row of the model's answer."""

import numpy as np
import pytest
from restorations import to_base64

from unmask.inference.results import spread_of
from unmask.serving.view import scaled_for_screen, view_of

HEIGHT, WIDTH = 640, 700
HOLE = np.zeros((HEIGHT, WIDTH), bool)
HOLE[300:500, 200:400] = True
PHOTO = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def face(status: str = "restored", reason: str = "", **changed) -> dict:
    points = [] if status == "skipped" else [[250.0 + i, 320.0] for i in range(68)]
    return {
        "status": status,
        "reason": reason,
        "box": [250.0, 200.0, 360.0, 420.0],
        "landmarks": points,
        "gender_male": 0.25,
        "mask_fraction": 0.31,
        "score": 0.875,
        **changed,
    }


def filled(value: int) -> np.ndarray:
    return np.where(HOLE[..., None], np.uint8(value), PHOTO)


def row(faces: list[dict], samples: tuple[int, ...] = (), hole: np.ndarray = HOLE) -> dict:
    return {
        "image": to_base64(filled(90) if hole.any() else PHOTO),
        "faces": faces,
        "mask": to_base64(hole),
        "samples": [to_base64(filled(value)) for value in samples],
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 700), (640, 700)), ((100, 50), (640, 320)), ((800, 3200), (320, 1280))],
)
def test_pictures_are_shown_at_a_size_for_screens(size, expected):
    assert scaled_for_screen(np.zeros((*size, 3), np.uint8)).shape == (*expected, 3)


def test_before_and_after_are_the_photo_and_the_answer():
    view = view_of(PHOTO, row([face()]))
    np.testing.assert_array_equal(view.before, PHOTO)
    np.testing.assert_array_equal(view.after, filled(90))
    assert view.restored


def test_what_was_found_tints_the_region_replaced_and_draws_the_landmarks():
    view = view_of(PHOTO, row([face()]))
    changed = (view.found != PHOTO).any(axis=2)
    assert changed[HOLE].mean() > 0.99
    far = ~HOLE
    far[290:510, 190:410] = False
    np.testing.assert_array_equal(view.found[far], PHOTO[far])
    bare = view_of(PHOTO, row([face("no_mask", "no mask was found")], hole=np.zeros_like(HOLE)))
    drawn = (bare.found != PHOTO).any(axis=2)
    assert drawn[320, 250:318].all()
    assert not drawn[:310].any()
    assert not drawn[330:].any()


def test_faces_of_one_photo_are_numbered_in_the_picture():
    one = view_of(PHOTO, row([face()])).found
    two = view_of(PHOTO, row([face(), face(box=[20.0, 30.0, 120.0, 140.0])])).found
    assert (one[14:46, 4:36] == PHOTO[14:46, 4:36]).all()
    assert (two[16:44, 6:34] != PHOTO[16:44, 6:34]).any(axis=2).mean() > 0.7


def test_the_spread_is_the_standard_deviation_of_the_samples():
    view = view_of(PHOTO, row([face()], samples=(80, 100, 120)))
    drawn = tuple(filled(value) for value in (80, 100, 120))
    assert view.most == pytest.approx(spread_of(drawn).max())
    assert [sample[400, 300, 0] for sample in view.samples] == [80, 100, 120]
    assert (view.spread[~HOLE] == view.spread[0, 0]).all()
    assert (view.spread[HOLE].astype(int).sum(axis=1) > view.spread[0, 0].astype(int).sum()).all()


@pytest.mark.parametrize("samples", [(), (80,), (80, 80)])
def test_samples_that_do_not_differ_have_no_map(samples):
    view = view_of(PHOTO, row([face()], samples=samples))
    assert view.spread is None
    assert len(view.samples) == len(samples)


def test_the_table_has_a_row_a_face_and_dashes_where_nothing_was_measured():
    faces = [face(), face("skipped", "its <landmarks> cannot be made out")]
    table = view_of(PHOTO, row(faces)).table
    assert table.count('<th scope="row">') == 2
    for words in ("Restored", "75% female", "31%", "0.88", "Skipped", "its &lt;landmarks&gt;"):
        assert words in table
    assert table.count("<td>–</td>") == 2


@pytest.mark.parametrize(
    ("faces", "sentence"),
    [
        ([face()], "One face restored."),
        ([face(), face()], "2 faces restored."),
        (
            [face(), face("no_mask", "no mask was found")],
            "1 of 2 faces restored; the table says why not the others.",
        ),
        ([face("skipped", "no face was found")], "Nothing was changed: no face was found."),
        (
            [face("no_mask", "no mask"), face("no_mask", "no mask"), face("skipped", "too small")],
            "Nothing was changed: no mask, and too small.",
        ),
    ],
)
def test_a_sentence_says_what_became_of_the_photo(faces, sentence):
    assert view_of(PHOTO, row(faces)).sentence == sentence


def test_what_of_the_file_is_not_kept_is_said():
    animated = row([face()]) | {"warnings": ["only the first of its 3 pictures is kept"]}
    sentence = view_of(PHOTO, animated).sentence
    assert sentence == "One face restored. Only the first of its 3 pictures is kept."
