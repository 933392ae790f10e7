"""What is signed is read back by C2PA's own validator."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from c2pa import Context, Reader, Settings
from certificates import Issued, issue
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from PIL import Image

from unmask.errors import UnmaskError
from unmask.inference import content_credentials
from unmask.inference.content_credentials import CERTIFICATE, KEY, credentials_of_environment
from unmask.inference.image_file import AS_GIVEN, Writing, read_image
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE
from unmask.inference.results import PictureError

KINDS = ("jpeg", "png", "webp", "tiff", "avif", "heif")


@pytest.fixture(scope="module")
def issued(tmp_path_factory) -> Issued:
    return issue(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def signing(issued, monkeypatch) -> Issued:
    monkeypatch.setenv(CERTIFICATE, str(issued.certificate))
    monkeypatch.setenv(KEY, str(issued.key))
    return issued


def picture_file(kind: str) -> bytes:
    if kind == "heif":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    buffer = io.BytesIO()
    values = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()


def restored_file(raw: bytes, writing: Writing = AS_GIVEN, model: str | None = "unmask/3") -> bytes:
    """The file of a picture of which a part is painted."""
    image = read_image(raw, "photo")
    painted = image.pixels.copy()
    painted[20:40, 20:50] = (200, 120, 100)
    return image.encode(painted, writing, model)


def read(raw: bytes, kind: str, root: Path) -> Reader:
    trust = {"verify": {"verify_trust": True}, "trust": {"trust_anchors": root.read_text()}}
    return Reader(f"image/{kind}", io.BytesIO(raw), context=Context(Settings.from_dict(trust)))


@pytest.mark.parametrize("kind", KINDS)
def test_the_validator_trusts_a_restored_picture_and_says_what_was_done(signing, kind):
    answer = restored_file(picture_file(kind))
    reader = read(answer, kind, signing.root)
    assert reader.get_validation_state() == "Trusted"
    manifest = reader.get_active_manifest()
    (actions,) = (a["data"]["actions"] for a in manifest["assertions"] if "actions" in a["label"])
    opened, edited = actions
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert edited["softwareAgent"] == {"name": "unmask", "version": "unmask/3"}
    (parent,) = manifest["ingredients"]
    assert (parent["relationship"], parent["format"]) == ("parentOf", f"image/{kind}")
    assert "thumbnail" not in json.dumps(manifest)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_the_pixels_are_those_of_an_unsigned_answer(signing, monkeypatch, kind):
    raw = picture_file(kind)
    answer = restored_file(raw)
    monkeypatch.delenv(CERTIFICATE)
    monkeypatch.delenv(KEY)
    plain = restored_file(raw)
    assert answer != plain
    assert b"c2pa" not in plain
    one, other = (read_image(each, "answer") for each in (answer, plain))
    np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_changed_pixel_breaks_the_signature(signing):
    answer = restored_file(picture_file("png"))
    at = answer.index(b"IDAT") + 200
    changed = answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :]
    assert read(changed, "png", signing.root).get_validation_state() == "Invalid"


def test_the_manifest_of_what_was_given_is_kept_within(signing):
    first = restored_file(picture_file("jpeg"))
    second = restored_file(first)
    store = json.loads(read(second, "jpeg", signing.root).json())
    assert len(store["manifests"]) == 2
    (parent,) = store["manifests"][store["active_manifest"]]["ingredients"]
    assert parent["active_manifest"] in store["manifests"]


def test_with_stripped_metadata_the_manifest_is_all_that_is_said(signing):
    first = restored_file(picture_file("jpeg"))
    answer = restored_file(first, Writing(strip_metadata=True))
    reader = read(answer, "jpeg", signing.root)
    assert reader.get_validation_state() == "Trusted"
    assert len(json.loads(reader.json())["manifests"]) == 1


def test_a_file_of_a_format_without_manifests_has_one_in_its_answer(signing):
    answer = restored_file(picture_file("bmp"))
    assert read(answer, "png", signing.root).get_validation_state() == "Trusted"


def test_what_was_not_restored_is_not_signed(signing):
    assert b"c2pa" not in restored_file(picture_file("png"), model=None)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["another-curve", "rsa", "ed25519"],
)
def test_a_key_of_another_certificate_is_told(signing, tmp_path, monkeypatch, key):
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other = tmp_path / "other.pem"
    other.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    monkeypatch.setenv(KEY, str(other))
    with pytest.raises(UnmaskError, match=r"chain\.pem with .*other\.pem cannot sign"):
        Writing.parse()


def test_what_cannot_sign_is_told_by_its_file(signing, tmp_path, monkeypatch):
    wrong = tmp_path / "wrong.pem"
    monkeypatch.setenv(KEY, str(wrong))
    with pytest.raises(UnmaskError, match=r"wrong\.pem, which is to sign, cannot be read"):
        credentials_of_environment()
    wrong.write_text("no key")
    with pytest.raises(UnmaskError, match=r"wrong\.pem is no private key"):
        credentials_of_environment()
    monkeypatch.setenv(KEY, str(signing.key))
    monkeypatch.setenv(CERTIFICATE, str(signing.root))
    with pytest.raises(UnmaskError, match=r"root\.pem with .* cannot sign"):
        credentials_of_environment()
    monkeypatch.delenv(KEY)
    with pytest.raises(UnmaskError, match=f"{KEY} is not set"):
        credentials_of_environment()


def test_a_picture_of_which_no_manifest_can_be_made_is_told_by_its_name(signing):
    credentials = credentials_of_environment()
    with pytest.raises(PictureError, match="no Content Credentials can be made of it"):
        credentials.sign(b"no picture", "png", picture_file("png"), "png", "m")


def test_a_certificate_that_is_renewed_in_place_signs_from_then_on(signing, tmp_path, monkeypatch):
    mine = issue(tmp_path / "mine")
    monkeypatch.setenv(CERTIFICATE, str(mine.certificate))
    monkeypatch.setenv(KEY, str(mine.key))
    raw = picture_file("png")
    assert read(restored_file(raw), "png", mine.root).get_validation_state() == "Trusted"
    renewed = issue(tmp_path / "mine")
    assert read(restored_file(raw), "png", renewed.root).get_validation_state() == "Trusted"


def test_without_the_extra_it_is_named(signing, monkeypatch):
    content_credentials._credentials.cache_clear()
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(UnmaskError, match=r"pip install 'unmask\[c2pa\]'"):
        credentials_of_environment()
