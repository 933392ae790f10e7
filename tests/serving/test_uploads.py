from pathlib import Path

import numpy as np
import pytest

from unmask.inference.pictures import decode_picture
from unmask.serving import uploads

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(uploads, "upload_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize("content", [b"bytes of a file", PICTURE], ids=["bytes", "picture"])
def test_a_file_that_is_kept_again_is_not_written_over(content, folder):
    first = Path(uploads.keep(content, "a.png"))
    assert first.is_relative_to(folder)
    first.write_bytes(b"would be lost")
    assert Path(uploads.keep(content, "a.png")) == first
    assert first.read_bytes() == b"would be lost"
    assert [path for path in folder.rglob("*") if path.is_file()] == [first]


def test_a_picture_is_kept_in_the_format_of_its_name(folder):
    png, webp = (Path(uploads.keep(PICTURE, name)) for name in ("a.png", "a.webp"))
    np.testing.assert_array_equal(decode_picture(png.read_bytes(), "a"), PICTURE)
    assert webp.read_bytes()[8:12] == b"WEBP"
    assert decode_picture(webp.read_bytes(), "a").shape == PICTURE.shape
