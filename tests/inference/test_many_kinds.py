"""Files of many kinds and damages, with the same verdict on every way in."""

import base64
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import icc
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from images import DEEP, HEIGHT, IMAGES, WIDTH, deep, file_of
from PIL import Image
from restorations import whole

from unmask.inbox.leases import Leases
from unmask.inbox.queue import NEW, BatchProcessor, Restorer, claim
from unmask.inbox.storage import Folder
from unmask.inference.encoded import EncodedRestorer
from unmask.inference.files import restore_files
from unmask.inference.image_file import AS_GIVEN, read_image
from unmask.inference.inputs import Inputs
from unmask.inference.results import (
    DEFAULT_OPTIONS,
    FaceAnswer,
    PictureError,
    Restoration,
    RestoreOptions,
)

HOLE = np.s_[16:24, 16:32]
LOSSLESS = {"png", "tiff", "bmp", "gif", "ppm", "tga", "webp", "jpeg2000"}
KINDS = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "jpeg": ("L", "RGB", "CMYK", "YCbCr"),
    "webp": ("L", "RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"),
    "bmp": ("1", "L", "P", "RGB"),
    "gif": ("L", "P", "RGB"),
    "avif": ("L", "RGB", "RGBA"),
    "jpeg2000": ("L", "RGB", "RGBA"),
}


def written(image: Image.Image, kind: str, **options) -> bytes:
    """A file, without loss where its format can."""
    lossless = {"lossless": True, "exact": True} if kind == "webp" else {}
    return file_of(image, kind, **lossless, **options)


def files() -> Iterator[tuple[str, bytes]]:
    """Names and bytes; a name that begins with bad is of one that no way in takes."""
    for kind, modes in KINDS.items():
        for mode in modes:
            yield f"{kind}-{mode.replace(';', '')}", written(IMAGES[mode], kind)
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    for kind in ("gif", "webp", "tiff", "png"):
        yield f"{kind}-animated", written(frames[0], kind, save_all=True, append_images=frames[1:])
    for ending, kind in ((".png", "png"), (".tif", "tiff")):
        for channels in (3, 4):
            yield f"{kind}-deep{channels}", deep(np.dstack([DEEP, DEEP])[..., :channels], ending)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("png", "jpeg", "webp", "tiff"):
        yield f"{kind}-turned", written(IMAGES["RGB"], kind, exif=exif)
    for kind in ("png", "jpeg", "webp", "tiff"):
        yield f"{kind}-p3", written(IMAGES["RGB"], kind, icc_profile=icc.display_p3())
    yield "tiff-inks", file_of(IMAGES["CMYK"], "tiff", icc_profile=icc.pale_cmyk())
    yield "png-keyed", file_of(IMAGES["P"], "png", transparency=0)
    jpeg = file_of(IMAGES["RGB"], "jpeg")
    yield "jpeg-endless", jpeg[:-2]
    yield "jpeg-progressive", file_of(IMAGES["RGB"], "jpeg", progressive=True)
    yield "bad-jpeg-half", jpeg[: len(jpeg) // 2]
    for kind in ("png", "webp", "tiff", "bmp"):
        raw = written(IMAGES["RGB"], kind)
        yield f"bad-{kind}-half", raw[: len(raw) // 2]
    yield "bad-empty", b""
    yield "bad-text", b"no picture"
    yield "bad-svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield "bad-heic", b"\0\0\0\x18ftypheic" + bytes(40)
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    checked = struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    yield "bad-huge", b"\x89PNG\r\n\x1a\n" + checked


FILES = dict(files())


class Painter:
    """Paints a part of each picture, as a chain would restore it."""

    def restore(
        self, picture: np.ndarray, options: RestoreOptions = DEFAULT_OPTIONS
    ) -> Restoration:
        hole = np.zeros(picture.shape[:2], bool)
        hole[HOLE] = True
        painted = picture.copy()
        painted[hole] = (200, 120, 100)
        face = FaceAnswer("restored", "", (0.0, 0.0, 9.0, 9.0), None, 0.5, 0.5, 0.9)
        return whole(picture, painted, hole, face)


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, dict[str, bytes | str]]:
    """By way in and name: the answer's bytes, or the sentence that refuses it."""
    folder: Path = tmp_path_factory.mktemp("kinds")
    (folder / "in").mkdir()
    for name, raw in FILES.items():
        (folder / "in" / f"{name}.jpg").write_bytes(raw)
    found: dict[str, dict[str, bytes | str]] = {"command": {}, "inbox": {}, "rest": {}}
    inputs = Inputs([folder / "in"])
    for answer in restore_files(inputs, folder / "out", Painter().restore, "m"):
        content = answer.error if answer.picture is None else answer.picture.read_bytes()
        found["command"][answer.source.stem] = content
    storage = Folder(folder / "inbox")
    for name, raw in FILES.items():
        storage.write(f"{NEW}/{name}.jpg", raw)
    leases = Leases(storage, "one", 600.0)
    lease = leases.take("b")
    claim(storage, [f"{name}.jpg" for name in FILES], lease, leases)
    restorer = Restorer(Painter().restore, "m", lambda *_: [], lambda *_: None)
    with lease:
        outcomes = BatchProcessor(storage, restorer).process(lease)
    for outcome in outcomes:
        name = Path(outcome.photo).stem
        if outcome.status == "failed":
            assert not outcome.defect
            found["inbox"][name] = outcome.reason
        else:
            written = (folder / "inbox" / "restored").glob(f"{name}-????????????????.restored.*")
            (path,) = (path for path in written if path.suffix != ".json")
            found["inbox"][name] = path.read_bytes()
    encoded = EncodedRestorer.__new__(EncodedRestorer)
    encoded._restorer, encoded._model = Painter(), "m"
    for name, raw in FILES.items():
        try:
            row = encoded.restore(base64.b64encode(raw).decode(), f"{name}.jpg", {"format": "same"})
            found["rest"][name] = base64.b64decode(row["image"])
        except PictureError as error:
            found["rest"][name] = str(error)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_way_in_has_the_same_verdict(answers, name):
    command, inbox, rest = (answers[way][name] for way in ("command", "inbox", "rest"))
    if name.startswith("bad-"):
        sentences = [str(one).partition(".jpg: ")[2] for one in (command, inbox, rest)]
        assert sentences[0]
        assert sentences == [sentences[0]] * 3
        assert all("\n" not in str(one) for one in (command, inbox, rest))
        return
    before = read_image(FILES[name], name)
    for answer in (command, inbox, rest):
        assert isinstance(answer, bytes), answer
        after = read_image(answer, name)
        assert after.pixels.shape == before.pixels.shape
        if name.partition("-")[0] in LOSSLESS:
            away = np.ones(before.pixels.shape[:2], bool)
            away[HOLE] = False
            assert after.own.dtype == before.own.dtype
            np.testing.assert_array_equal(after.own[away], before.own[away])
            assert after.colours.icc == before.colours.icc


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@settings(max_examples=400)
@given(
    name=st.sampled_from([name for name in FILES if not name.startswith("bad-")]),
    changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0, 1) | st.just(1.0),
)
@example(name="avif-L", changes=[(70, 0)], kept=1.0)
def test_a_damaged_file_is_answered_or_gets_a_sentence(name, changes, kept):
    raw = bytearray(FILES[name])
    for at, value in changes:
        raw[at % len(raw)] = value
    try:
        image = read_image(bytes(raw[: max(1, int(kept * len(raw)))]), "a file")
    except PictureError as error:
        assert str(error).startswith("a file: ")  # noqa: PT017 - either outcome is right
        assert "\n" not in str(error)  # noqa: PT017
        return
    answer = image.encode(Painter().restore(image.pixels).picture, AS_GIVEN, "m")
    assert read_image(answer, "its answer").pixels.shape == image.pixels.shape


def test_there_are_many():
    assert len(FILES) >= 60
