import os
from pathlib import Path

import pytest
from restorations import paint

from unmask.inference.inputs import Input, Inputs
from unmask.inference.results import PictureError


def files_of(*paths: Path, recursive: bool = False) -> list[Path]:
    return [one.file for one in Inputs(paths, recursive=recursive)]


def test_a_folder_stands_for_its_pictures_in_order(tmp_path):
    for name in ("b.png", "a.JPG", "c.webp", "deep/d.png", "d.jfif", "e.GIF", "f.jpe", "g.avif"):
        paint(tmp_path / name)
    alone = paint(tmp_path / "deep" / "alone.dat")
    names_ = [file.name for file in files_of(tmp_path, alone)]
    assert names_ == ["a.JPG", "b.png", "c.webp", "d.jfif", "e.GIF", "f.jpe", "g.avif", "alone.dat"]


def test_what_is_left_out_of_a_folder_is_told_with_its_reason(tmp_path):
    for name in ("a.png", "deep/d.png", "._a.png", ".hidden/b.png"):
        paint(tmp_path / name)
    for name in ("notes.txt", "more.txt"):
        (tmp_path / name).write_text("no picture")
    inputs = Inputs([tmp_path])
    assert list(inputs) == [Input(tmp_path / "a.png")]
    assert [number for number, _ in inputs.left_out.values()] == [2, 1]
    sentence = inputs.left_out_sentence
    assert sentence.startswith("3 left out: ")
    assert "deep: a folder, which --recursive takes" in sentence
    assert "more.txt and 1 more: no picture by its ending" in sentence


def test_a_folder_inside_a_folder_that_is_named_like_a_picture_is_none(tmp_path):
    paint(tmp_path / "a.png")
    (tmp_path / "holiday.jpg").mkdir()
    assert [file.name for file in files_of(tmp_path)] == ["a.png"]


def test_missing_and_empty_inputs_are_told(tmp_path):
    with pytest.raises(PictureError, match=r"nowhere\.png does not exist"):
        Inputs([paint(tmp_path / "a.png"), tmp_path / "nowhere.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PictureError, match="no pictures were found"):
        Inputs([tmp_path / "empty"])
    with pytest.raises(PictureError, match="no pictures were found"):
        Inputs([])
    (tmp_path / "empty" / "a.txt").touch()
    with pytest.raises(PictureError, match=r"no pictures .*a\.txt: no picture by its ending"):
        Inputs([tmp_path / "empty"])


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/null"), tmp_path / "pipe"):
        with pytest.raises(PictureError, match=f"{path} is no file"):
            Inputs([path])


def test_an_input_named_twice_is_restored_once(tmp_path):
    one = paint(tmp_path / "a.png")
    assert files_of(one, one, tmp_path) == [one]


def test_names_that_are_no_text_can_be_told(tmp_path):
    paint(tmp_path / "a.png")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).touch()
    sentence = Inputs([tmp_path]).left_out_sentence
    assert r"caf\udce9.txt: no picture" in sentence
    sentence.encode()
