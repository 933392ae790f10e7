"""What an answer keeps of its file: colours, depth, transparency, profile and metadata."""

import io
import struct
import sys
from xml.etree import ElementTree

import cv2
import icc
import numpy as np
import pytest
from images import DEEP, GREY, HEIGHT, IMAGES, WIDTH, colours, deep, file_of
from PIL import Image, ImageFilter, IptcImagePlugin, PngImagePlugin
from PIL.ExifTags import IFD

from unmask.errors import UnmaskError
from unmask.inference.image_file import (
    AS_GIVEN,
    FORMATS,
    ImageFile,
    Writing,
    encode_array,
    read_image,
)
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE, Metadata, iptc_segment
from unmask.inference.results import PictureError

HOLE = np.s_[20:30, 40:56]  # restored
NEAR = np.s_[0:48, 16:80]  # what a lossy format may change with it
SKIN = (200, 120, 100)
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def restored(image: ImageFile) -> np.ndarray:
    picture = image.pixels.copy()
    picture[HOLE] = SKIN
    return picture


def answered(raw: bytes, writing: Writing = AS_GIVEN, model: str | None = "m") -> bytes:
    image = read_image(raw, "a")
    return image.encode(restored(image), writing, model)


def away(values: np.ndarray, hole: tuple = HOLE) -> np.ndarray:
    """Values outside the restored part, flat."""
    outside = np.ones(values.shape[:2], bool)
    outside[hole] = False
    return values[outside]


LOSSLESS = [
    ("1", "png", "L", "PNG"),
    ("1", "tiff", "L", "TIFF"),
    ("L", "png", "L", "PNG"),
    ("L", "bmp", "L", "PNG"),
    ("L", "tiff", "L", "TIFF"),
    ("L", "jpeg2000", "L", "PNG"),
    ("LA", "png", "LA", "PNG"),
    ("LA", "tiff", "LA", "TIFF"),
    ("P", "png", "RGB", "PNG"),
    ("P", "gif", "RGB", "PNG"),
    ("RGB", "png", "RGB", "PNG"),
    ("RGB", "bmp", "RGB", "PNG"),
    ("RGB", "tiff", "RGB", "TIFF"),
    ("RGB", "webp", "RGB", "WEBP"),
    ("RGB", "ppm", "RGB", "PNG"),
    ("RGBA", "png", "RGBA", "PNG"),
    ("RGBA", "tiff", "RGBA", "TIFF"),
    ("RGBA", "webp", "RGBA", "WEBP"),
    ("RGBA", "tga", "RGBA", "PNG"),
    ("CMYK", "tiff", "CMYK", "TIFF"),
    ("LAB", "tiff", "LAB", "TIFF"),
    ("I;16", "png", "I;16", "PNG"),
    ("I;16", "tiff", "I;16", "TIFF"),
    ("I", "tiff", "I", "TIFF"),
    ("F", "tiff", "F", "TIFF"),
]


@pytest.mark.parametrize(("mode", "kind", "answer_mode", "answer_kind"), LOSSLESS)
def test_pixels_away_from_the_face_are_those_of_the_file(mode, kind, answer_mode, answer_kind):
    options = {"lossless": True, "exact": True} if kind == "webp" else {}
    raw = file_of(IMAGES[mode], kind, **options)
    answer = answered(raw)
    with Image.open(io.BytesIO(answer)) as image:
        assert (image.mode, image.format) == (answer_mode, answer_kind)
    before, after = read_image(raw, "a"), read_image(answer, "b")
    assert after.own.dtype == before.own.dtype
    np.testing.assert_array_equal(away(after.own), away(before.own))
    if before.alpha is not None:
        np.testing.assert_array_equal(after.alpha, before.alpha)
    if before.alpha is None:
        grey = np.dot(SKIN, (0.299, 0.587, 0.114))
        wanted = [grey] * 3 if before.colours.mode == "L" else SKIN
        assert np.abs(after.pixels[HOLE].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("ending", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_sixteen_bits_keep_them(ending, channels):
    values = np.dstack([DEEP, DEEP[..., :1]])[..., :channels]
    raw = deep(values, ending)
    before, after = read_image(raw, "a"), read_image(answered(raw), "b")
    np.testing.assert_array_equal(before.own, DEEP)
    assert after.own.dtype == np.uint16
    np.testing.assert_array_equal(away(after.own), away(DEEP))
    if channels == 4:
        np.testing.assert_array_equal(after.alpha, before.alpha)
    assert "unmask, model m" in Image.open(io.BytesIO(answered(raw))).info["Software"]


def tiff_of(values: bytes, bits: int, photometric: int) -> bytes:
    """A TIFF file of grey values."""
    tags = {256: WIDTH, 257: HEIGHT, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1,
            278: HEIGHT, 279: len(values)}  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(values)) + values + directory


def test_twelve_bits_floating_point_and_white_that_is_zero_are_seen_as_they_are_shown():
    share = GREY / np.float32(255)

    def seen(values: np.ndarray) -> np.ndarray:
        return read_image(file_of(Image.fromarray(values), "tiff"), "a").pixels

    twelve = np.rint(share * 4095).astype(np.uint16)
    high, low = twelve[:, ::2], twelve[:, 1::2]
    packed = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=-1)
    inverted = np.rint((1 - share) * 65535).astype("<u2")
    for pixels in (
        read_image(tiff_of(packed.astype(np.uint8).tobytes(), 12, 1), "a").pixels,
        read_image(tiff_of(inverted.tobytes(), 16, 0), "a").pixels,
        seen(share),
        seen(share * 65535),
    ):
        for channel in range(3):
            assert np.abs(pixels[..., channel].astype(int) - GREY).max() <= 1
    with pytest.raises(PictureError, match=r"^a: not an image.*beyond 65,535"):
        seen(np.full((20, 20), np.nan, np.float32))


@pytest.mark.parametrize(
    ("mode", "kind", "profile"),
    [
        ("RGB", "png", icc.display_p3()),
        ("RGBA", "png", icc.display_p3()),
        ("RGB", "tiff", icc.display_p3()),
        ("RGB", "webp", icc.display_p3()),
        ("RGB", "jpeg", icc.display_p3()),
        ("RGB", "avif", icc.display_p3()),
        ("L", "png", icc.dark_grey()),
        ("L", "jpeg", icc.dark_grey()),
        ("CMYK", "tiff", icc.pale_cmyk()),
        ("CMYK", "jpeg", icc.pale_cmyk()),
        ("I;16", "png", icc.dark_grey()),
    ],
)
def test_networks_see_srgb_and_the_answer_is_in_the_files_own_profile(mode, kind, profile):
    options = {"webp": {"lossless": True}, "jpeg": {"quality": 95}, "avif": {"quality": 95}}
    lossy = kind in ("jpeg", "avif")
    given = IMAGES[mode].filter(ImageFilter.GaussianBlur(3)) if lossy else IMAGES[mode]
    raw = file_of(given, kind, icc_profile=profile, **options.get(kind, {}))
    answer = answered(raw)
    assert Image.open(io.BytesIO(answer)).info["icc_profile"] == profile
    before, after = read_image(raw, "a"), read_image(answer, "b")
    plain = read_image(file_of(given, kind, **options.get(kind, {})), "c")
    assert np.abs(before.pixels.astype(int) - plain.pixels).max() > 20
    apart = np.abs(away(after.own, NEAR).astype(int) - away(before.own, NEAR))
    assert apart.max() <= (12 if lossy else 0)
    if mode == "RGB" and not lossy:
        assert np.abs(after.pixels[HOLE].astype(int) - SKIN).max() <= 8


def test_sixteen_bit_colours_keep_their_profile():
    """OpenCV writes them, and Pillow's chunks come after."""
    image = read_image(deep(DEEP, ".png"), "a")
    plain = image.encode(restored(image), Writing())
    chunk = PngImagePlugin.PngInfo()
    said = io.BytesIO()
    Image.new("RGB", (1, 1)).save(said, "png", icc_profile=icc.display_p3(), pnginfo=chunk)
    start = said.getvalue().index(b"iCCP") - 4
    length = int.from_bytes(said.getvalue()[start : start + 4]) + 12
    profiled = plain[:33] + said.getvalue()[start : start + length] + plain[33:]
    before, after = read_image(profiled, "b"), read_image(answered(profiled), "c")
    assert after.colours.icc == before.colours.icc == icc.display_p3()
    np.testing.assert_array_equal(away(after.own), away(before.own))
    assert np.abs(before.pixels.astype(int) - colours()).max() > 20


def test_a_profile_that_is_no_use_is_left_out_with_a_warning():
    for profile, words in ((b"no profile", "damaged"), (icc.dark_grey(), "GRAY")):
        raw = file_of(IMAGES["RGB"], icc_profile=profile)
        image = read_image(raw, "a")
        np.testing.assert_array_equal(image.pixels, colours())
        assert any("left out" in warning and words in warning for warning in image.warnings)
        assert "icc_profile" not in Image.open(io.BytesIO(answered(raw))).info


def test_what_is_transparent_is_white_to_networks_and_stays_what_it_was():
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :48] = 0
    alpha[24:28, 50:54] = 224
    raw = file_of(Image.fromarray(np.dstack([colours(), alpha])))
    image, after = read_image(raw, "a"), read_image(answered(raw), "b")
    assert (image.pixels[:, :48] == 255).all()
    np.testing.assert_array_equal(image.pixels[:20, 48:], colours()[:20, 48:])
    np.testing.assert_array_equal(after.alpha, alpha)
    np.testing.assert_array_equal(after.own[:, :48], colours()[:, :48])
    assert np.abs(after.pixels[20:30, 48:56].astype(int) - SKIN).max() <= 1


def test_a_transparent_colour_is_transparent():
    for mode, key in (("RGB", tuple(colours()[0, 0])), ("L", int(GREY[0, 0]))):
        raw = file_of(IMAGES[mode], transparency=tuple(map(int, key)) if mode == "RGB" else key)
        image = read_image(raw, "a")
        assert image.alpha is not None
        assert (image.alpha[:8, :8] == 0).all()
        assert (image.pixels[:8, :8] == 255).all()


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_picture_can_be_answered_in_every_format(mode, kind):
    raw = file_of(IMAGES[mode], "png" if mode in ("L", "LA", "RGB", "RGBA", "I;16") else "tiff")
    answer = answered(raw, Writing(kind))
    with Image.open(io.BytesIO(answer)) as image:
        assert image.format == {"jpeg": "JPEG"}.get(kind, kind.upper())
    before, after = read_image(raw, "a"), read_image(answer, "b")
    assert before.suffix(Writing(kind)) == FORMATS[kind]
    apart = np.abs(after.pixels.astype(int) - before.pixels)
    outside = away(apart)
    assert outside.mean() < (0.1 if kind in ("png", "tiff") else 12)
    if "A" in mode and kind != "jpeg":
        assert after.alpha is not None


def test_a_jpeg_file_is_answered_with_its_own_tables():
    raw = file_of(Image.fromarray(cv2.GaussianBlur(colours(), (0, 0), 3)), "jpeg", quality=61)
    before, answer = Image.open(io.BytesIO(raw)), answered(raw)
    after = Image.open(io.BytesIO(answer))
    assert after.quantization == before.quantization
    apart = np.abs(np.asarray(after).astype(int) - np.asarray(before))
    assert away(apart, NEAR).mean() < 1.5
    assert away(apart, NEAR).max() <= 12
    better = answered(raw, Writing(quality=95))
    assert Image.open(io.BytesIO(better)).quantization != before.quantization
    assert len(answered(raw, Writing(quality=20))) < len(answer) < len(better)


def exif_of(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x8298] = orientation, "Camera", "(c) somebody"
    exif.get_ifd(IFD.Exif)[0x9003] = "2026:11:28 00:00:00"
    exif.get_ifd(IFD.GPSInfo)[1] = "N"
    return exif


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    b' xmlns:q="http://example.org/q/" tiff:Orientation="6" q:rating="5"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


def xmp_in(raw: bytes) -> ElementTree.Element:
    """The description in a file's XMP."""
    with Image.open(io.BytesIO(raw)) as image:
        image.load()
        packet = image.info["xmp"]
    root = ElementTree.fromstring(packet)
    description = root.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description is not None
    return description


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_metadata_are_kept_and_the_picture_is_upright(kind):
    options = {"exif": exif_of(6), "dpi": (300, 300)}
    if kind == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP.decode())
        text.add_text("Title", "a holiday")
        options["pnginfo"] = text
    elif kind == "tiff":
        options = {"tiffinfo": {700: XMP, 271: "Camera", 33432: "(c) somebody"}, "dpi": (300, 300)}
    else:
        options["xmp"] = XMP
    raw = file_of(IMAGES["RGB"], kind, **options)
    answer = answered(raw)
    with Image.open(io.BytesIO(answer)) as image:
        image.load()
        read = image.getexif()
        assert image.size == (HEIGHT, WIDTH)
        assert read.get(0x0112, 1) == 1
        assert read[0x010F].rstrip("\0") == "Camera"
        assert read[0x8298].rstrip("\0") == "(c) somebody"
        if kind != "tiff":
            assert read.get_ifd(IFD.Exif)[0x9003].startswith("2026")
            assert read.get_ifd(IFD.GPSInfo)[1].startswith("N")
        if kind in ("jpeg", "png", "tiff"):
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if kind == "png":
            assert image.info["Title"] == "a holiday"
    description = xmp_in(answer)
    assert description.get("{http://example.org/q/}rating") == "5"
    assert description.get("{http://ns.adobe.com/tiff/1.0/}Orientation", "1") == "1"
    assert description.get(f"{IPTC}DigitalSourceType") == DIGITAL_SOURCE_TYPE
    again = read_image(answer, "again")
    np.testing.assert_array_equal(again.pixels.shape, read_image(raw, "a").pixels.shape)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
def test_stripping_leaves_the_provenance_and_the_profile(kind):
    raw = file_of(IMAGES["RGB"], kind, exif=exif_of(), icc_profile=icc.display_p3())
    answer = answered(raw, Writing(strip_metadata=True), "unmask version 3")
    with Image.open(io.BytesIO(answer)) as image:
        image.load()
        assert image.info["icc_profile"] == icc.display_p3()
        assert not {0x010F, 0x8298, IFD.Exif, IFD.GPSInfo} & set(image.getexif())
    description = xmp_in(answer)
    assert description.get(f"{IPTC}DigitalSourceType") == DIGITAL_SOURCE_TYPE
    assert description.get(f"{IPTC}AISystemVersionUsed") == "unmask version 3"
    assert b"somebody" not in answer


def iptc_records(*records: tuple[int, bytes]) -> bytes:
    """IPTC-IIM's application records by their numbers."""
    return b"".join(
        struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value for number, value in records
    )


@pytest.mark.parametrize("caption", [b"A street", b"odd", b"x" * 30_000])
@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
@pytest.mark.parametrize("answer_kind", ["jpeg", "tiff"])
def test_iptc_iim_is_kept_unless_metadata_are_stripped(kind, answer_kind, caption):
    records = iptc_records((120, caption), (116, b"(c) somebody"))
    given = {"extra": iptc_segment(records)} if kind == "jpeg" else {"tiffinfo": {33723: records}}
    raw = file_of(IMAGES["RGB"], kind, **given)
    for writing, kept in (
        (Writing(answer_kind), {(2, 120): caption, (2, 116): b"(c) somebody"}),
        (Writing(answer_kind, strip_metadata=True), None),
    ):
        with Image.open(io.BytesIO(answered(raw, writing))) as image:
            assert image.format == answer_kind.upper()
            assert IptcImagePlugin.getiptcinfo(image) == kept


def test_iptc_iim_that_a_tiff_stores_as_whole_numbers_is_kept():
    records = iptc_records((120, b"A street"), (116, b"(c) us.")) + bytes(3)
    raw = file_of(IMAGES["RGB"], "tiff", tiffinfo={33723: records})
    entry = struct.pack("<HH", 33723, 7) + struct.pack("<I", len(records))
    assert raw.count(entry) == 1
    numbers = struct.pack("<HHI", 33723, 4, len(records) // 4)  # LONG in place of UNDEFINED
    raw = raw.replace(entry, numbers)
    with Image.open(io.BytesIO(answered(raw, Writing("jpeg")))) as image:
        assert IptcImagePlugin.getiptcinfo(image)[2, 120] == b"A street"


def test_iptc_iim_too_long_for_a_segment_is_left_out():
    assert iptc_segment(bytes(65_533)) == iptc_segment(b"") == b""


def test_a_thumbnail_that_shows_the_mask_is_left_out():
    thumbnail = file_of(Image.new("RGB", (16, 16), "red"), "jpeg")
    first = struct.pack("<HHHLL", 1, 0x0112, 3, 1, 1) + struct.pack("<L", 8 + 18)
    second = struct.pack("<H", 2)
    second += struct.pack("<HHLL", 0x0201, 4, 1, 8 + 18 + 30)
    second += struct.pack("<HHLL", 0x0202, 4, 1, len(thumbnail)) + struct.pack("<L", 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<L", 8) + first + second + thumbnail
    raw = file_of(IMAGES["RGB"], "jpeg", exif=exif)
    assert thumbnail in raw
    assert thumbnail not in answered(raw)


def test_damaged_metadata_are_left_out_with_a_warning():
    raw = file_of(IMAGES["RGB"], "jpeg", xmp=b"<x:xmpmeta")
    image = read_image(raw, "a")
    assert any("XMP" in warning for warning in image.warnings)
    assert xmp_in(answered(raw)).get(f"{IPTC}DigitalSourceType") == DIGITAL_SOURCE_TYPE


def test_an_untouched_picture_claims_nothing():
    raw = file_of(IMAGES["RGB"], "jpeg", exif=exif_of())
    image = read_image(raw, "a")
    assert b"compositeWithTrained" not in image.encode(image.pixels, Writing(), None)


def test_the_first_of_many_pictures_is_kept_and_said():
    frames = [Image.new("RGB", (32, 24), colour) for colour in ("red", "blue", "lime")]
    for kind in ("gif", "tiff", "webp", "png", "avif"):
        raw = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        image = read_image(raw, "a")
        assert image.warnings == ("only the first of its 3 pictures is kept",), kind
        assert np.abs(image.pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 6


def test_a_jpeg_file_that_lacks_its_end_mark_alone_is_taken_with_a_warning():
    picture = cv2.GaussianBlur(colours(), (0, 0), 1)
    for options in ({}, {"progressive": True}, {"subsampling": 0, "quality": 95}):
        raw = file_of(Image.fromarray(picture), "jpeg", **options)
        for cut in (1, 2):
            image = read_image(raw[:-cut], "a")
            np.testing.assert_array_equal(image.pixels, read_image(raw, "a").pixels)
            assert image.warnings == ("the file lacks its end mark",)
        for cut in (30, len(raw) // 3):
            with pytest.raises(PictureError, match=r"^a: not an image"):
                read_image(raw[:-cut], "a")


def test_heic_names_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    raw = b"\0\0\0\x18ftypheic" + bytes(40)
    with pytest.raises(PictureError, match=r"^a\.heic: HEIC needs .*unmask\[heic\]"):
        read_image(raw, "a.heic")


def test_heic_is_answered_as_heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    raw = file_of(Image.fromarray(cv2.GaussianBlur(colours(), (0, 0), 2)), "heif", quality=90)
    image = read_image(raw, "a")
    assert image.suffix(Writing()) == ".heic"
    after = read_image(answered(raw), "b")
    assert np.abs(away(after.pixels.astype(int) - image.pixels, NEAR)).mean() < 4
    assert read_image(answered(raw, Writing("png")), "c").pixels.shape == image.pixels.shape


def test_a_limit_of_pixels_is_told_and_can_be_raised():
    raw = encode_array(np.zeros((8001, 7001, 3), np.uint8), Metadata())
    with pytest.raises(PictureError, match=r"^a: 7001 x 8001 pixels, more than the 50 million"):
        read_image(raw, "a")
    assert read_image(raw, "a", 60_000_000).pixels.shape == (8001, 7001, 3)


@pytest.mark.parametrize(
    ("format_", "quality", "words"),
    [("gif", 0, "format is 'gif'"), ("png", 101, "quality is 101"), ("png", -1, "quality is -1")],
)
def test_how_to_write_is_checked(format_, quality, words):
    with pytest.raises(UnmaskError, match=words):
        Writing.parse(format_, quality, False)


def test_a_picture_that_a_format_cannot_hold_is_named():
    image = read_image(encode_array(np.zeros((16, 17_000, 3), np.uint8), Metadata()), "a.png")
    with pytest.raises(PictureError, match=r"^a\.png: 17000 x 16 pixels cannot be written as webp"):
        image.encode(image.pixels, Writing("webp"))
