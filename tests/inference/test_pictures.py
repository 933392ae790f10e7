import base64
import errno
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from unmask.inference.pictures import decode_picture, encode_picture, from_base64
from unmask.inference.results import PictureError
from unmask.project import write_whole


def file_of(image: Image.Image, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colours(height: int = 12, width: int = 18) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_rgb_comes_back_bit_for_bit():
    picture = colours()
    for kind in ("png", "bmp", "tiff"):
        np.testing.assert_array_equal(decode_picture(file_of(Image.fromarray(picture), kind), "a"),
                                      picture)  # fmt: skip
    np.testing.assert_array_equal(decode_picture(encode_picture(picture), "a"), picture)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.transpose(1, 0, 2)),
        (6, lambda p: np.rot90(p, -1)),
        (7, lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda p: np.rot90(p)),
    ],
)
def test_exif_orientation_is_obeyed(orientation, upright):
    raw = file_of(Image.fromarray(colours()), exif=oriented(orientation))
    np.testing.assert_array_equal(decode_picture(raw, "a"), upright(colours()))


def test_grey_pictures_have_three_equal_channels():
    grey = colours()[..., 0]
    picture = decode_picture(file_of(Image.fromarray(grey)), "a")
    for channel in range(3):
        np.testing.assert_array_equal(picture[..., channel], grey)


def test_one_bit_and_palette_pictures_keep_their_colours():
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[2:5, 3:7] = 255
    image = Image.fromarray(picture)
    for mode in ("1", "P"):
        np.testing.assert_array_equal(decode_picture(file_of(image.convert(mode)), "a"), picture)


def test_opaque_alpha_is_dropped():
    picture = colours()
    alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
    raw = file_of(Image.fromarray(np.concatenate([picture, alpha], axis=2)))
    np.testing.assert_array_equal(decode_picture(raw, "a"), picture)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_not_cut(kind):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (16, 1))
    picture = decode_picture(file_of(Image.fromarray(ramp), kind), "a")
    np.testing.assert_allclose(picture[..., 0], ramp / 257, atol=1)


def test_an_animation_is_its_first_picture():
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue")]
    raw = file_of(frames[0], "gif", save_all=True, append_images=frames[1:], duration=50)
    np.testing.assert_array_equal(decode_picture(raw, "a.gif"), np.full((8, 12, 3), (255, 0, 0)))


def test_cmyk_becomes_rgb():
    picture = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    raw = file_of(Image.fromarray(picture).convert("CMYK"), "jpeg", quality=95)
    decoded = decode_picture(raw, "a")
    assert decoded.shape == (16, 16, 3)
    assert np.abs(decoded.astype(int) - picture).max() < 12


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.8])
def test_a_truncated_or_empty_file_is_named(kind, keep):
    whole = file_of(Image.fromarray(colours(60, 60)), kind)
    with pytest.raises(PictureError, match=r"^my photo: not an image"):
        decode_picture(whole[: int(keep * len(whole))], "my photo")


@pytest.mark.parametrize("raw", [b"no image", b"%PDF-1.7", b"<svg/>", bytes(1000)])
def test_what_is_no_image_is_named_in_one_line(raw):
    with pytest.raises(PictureError, match=r"^a\.txt: not an image") as refused:
        decode_picture(raw, "a.txt")
    assert len(str(refused.value).splitlines()) == 1


def test_a_huge_picture_is_refused_before_it_is_decoded():
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    for side in (7_100, 60_000, 2**31 - 1):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(100)))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(PictureError, match=r"^bomb: "):
            decode_picture(bomb, "bomb")


def test_a_text_bomb_is_refused():
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    plain = file_of(Image.fromarray(colours()))
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(8_000_000), 9))
    with pytest.raises(PictureError, match=r"^bomb: "):
        decode_picture(plain[:33] + text + plain[33:], "bomb")


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "tiff", "bmp"])
@settings(max_examples=150)
@given(st.data())
def test_a_damaged_file_is_a_picture_or_a_picture_error(kind, data):
    options = {} if kind == "bmp" else {"exif": oriented(6)}
    raw = bytearray(file_of(Image.fromarray(colours()), kind, **options))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, min(len(raw), 300) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = decode_picture(bytes(raw), "a")
    except PictureError as error:
        assert str(error).startswith("a: ")  # noqa: PT017 - either outcome is right
    else:
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_damaged_exif_is_a_picture_or_a_picture_error():
    """Orientation with a value that is no integer, as damaged cameras' cards have it."""
    exif = oriented(6)
    exif[0x010F] = "make"
    raw = file_of(Image.fromarray(colours()), "jpeg", exif=exif)
    start = raw.index(b"Exif") + 6
    for at in range(start, start + 44):
        for value in (0, 1, 2, 5, 7, 9, 12, 128, 255):
            damaged = bytearray(raw)
            damaged[at] = value
            try:
                assert decode_picture(bytes(damaged), "a").shape[2] == 3
            except PictureError as error:
                assert str(error).startswith("a: ")  # noqa: PT017 - either outcome is right


def test_masks_are_written_as_black_and_white():
    mask = colours()[..., 0] > 127
    decoded = np.asarray(Image.open(io.BytesIO(encode_picture(mask))))
    np.testing.assert_array_equal(decoded, np.where(mask, 255, 0))


def test_metadata_tell_synthesised_pictures_from_others():
    said = Image.open(io.BytesIO(encode_picture(colours(), "unmask version 3"))).info
    assert "unmask version 3" in said["Software"]
    assert "synthesised" in said["Comment"]
    assert Image.open(io.BytesIO(encode_picture(colours()))).info == {}


def test_base64_comes_back_and_errors_name_the_input():
    raw = encode_picture(colours())
    plain = base64.b64encode(raw).decode()
    for text in (
        plain,
        f"data:image/png;base64,{plain}",
        "\r\n".join(plain[at : at + 76] for at in range(0, len(plain), 76)),
        base64.urlsafe_b64encode(raw).decode(),
        plain.rstrip("="),
    ):
        np.testing.assert_array_equal(from_base64(text, "row 0").pixels, colours())
    for text in ("%%%", "a", "é", "QUJD!", "data:image/png,QUJD", "a,QUJD"):
        with pytest.raises(PictureError, match=r"^row 4: not base64"):
            from_base64(text, "row 4")
    for text in ("", base64.b64encode(b"no image").decode()):
        with pytest.raises(PictureError, match=r"^row 4: not an image"):
            from_base64(text, "row 4")


def test_a_file_is_written_whole_and_over_an_old_one(tmp_path):
    path = tmp_path / "a.png"
    for content in (b"first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_what_was_there_and_names_the_file(tmp_path, monkeypatch, old):
    path = tmp_path / "a.png"
    if old is not None:
        path.write_bytes(old)
    write = Path.write_bytes

    def onto_full_disk(self: Path, content: bytes) -> int:
        write(self, content[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", onto_full_disk)
    with pytest.raises(OSError, match=r"a\.png could not be written: No space left on device"):
        write_whole(path, b"content")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if old is None else [old])


def test_a_file_that_cannot_be_put_in_place_leaves_nothing(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "a.png" / "x").touch()
    with pytest.raises(OSError, match=r"a\.png could not be written"):
        write_whole(tmp_path / "a.png", b"content")
    assert os.listdir(tmp_path) == ["a.png"]
    with pytest.raises(OSError, match=r"b\.png could not be written: No such file"):
        write_whole(tmp_path / "nowhere" / "b.png", b"content")
