"""CelebA and FFHQ in small folders of their real layout."""

import json

import cv2
import numpy as np
import pytest

from unmask.config.params import Source
from unmask.datasets.splits import split_of
from unmask.errors import UnmaskError
from unmask.faces import annotate
from unmask.faces.annotate import landmarks_of
from unmask.faces.celeba import read_celeba
from unmask.faces.ffhq import read_ffhq
from unmask.faces.folder import SourceError, UnreadableImage
from unmask.faces.sources import Sampled, items_of


def paint(path, index: int, size: int = 128) -> np.ndarray:
    """Write a synthetic face and give its landmarks."""
    face = Sampled(0, index, size).read()
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), face.image[..., ::-1])
    return face.landmarks


@pytest.fixture
def ffhq(tmp_path):
    """Two faces as thumbnails, a third one only named."""
    folder, table = tmp_path / "ffhq", {}
    for index in range(3):
        place = f"00000/{index:05d}.png"
        points = Sampled(0, index, 128).read().landmarks
        if index < 2:
            paint(folder / "thumbnails128x128" / place, index)
        table[str(index)] = {
            "category": "training",
            "image": {
                "file_path": f"images1024x1024/{place}",
                "face_landmarks": ((points + 0.5) * 8 - 0.5).tolist(),
            },
            "thumbnail": {"file_path": f"thumbnails128x128/{place}"},
        }
    (folder / "ffhq-dataset-v2.json").write_text(json.dumps(table))
    return folder


@pytest.fixture
def celeba(tmp_path):
    """Three pictures of two people with CelebA's tables, of which one is a woman."""
    folder = tmp_path / "celeba"
    files = [f"{index:06d}.jpg" for index in (1, 2, 3)]
    for index, file in enumerate(files):
        paint(folder / "img_align_celeba" / file, index)
    rows = [f"{file} -1 {male}  1" for file, male in zip(files, ("-1", " 1", "-1"), strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["3", "Bald Male Young", *rows]) + "\n")
    people = [f"{file} {person}" for file, person in zip(files, (7, 9, 7), strict=True)]
    (folder / "identity_CelebA.txt").write_text("\n".join(people) + "\n")
    return folder


def test_ffhq_thumbnails_have_the_tables_landmarks_and_no_gender(ffhq, tmp_path):
    faces = items_of(Source(name="ffhq", path="ffhq"), tmp_path, 0, 64)
    assert [face.id for face in faces] == ["ffhq/ffhq/0", "ffhq/ffhq/1"]
    for index, item in enumerate(faces):
        face = item.read()
        assert (face.gender, face.identity) == (None, None)
        np.testing.assert_allclose(
            face.landmarks, Sampled(0, index, 128).read().landmarks, atol=0.01
        )
        assert face.split == split_of(item.path.read_bytes())


def test_ffhq_pictures_win_over_thumbnails(ffhq):
    points = paint(ffhq / "images1024x1024" / "00000" / "00002.png", 2, 1024)
    (face,) = read_ffhq(ffhq)
    read = face.read()
    assert read.image.shape == (1024, 1024, 3)
    assert np.abs(read.landmarks - points).max() < 8  # of sampling at another size


def test_ffhq_without_table_landmarks_or_pictures_says_so(ffhq):
    table = ffhq / "ffhq-dataset-v2.json"
    whole = json.loads(table.read_text())
    cut = {"5": {**whole["0"], "image": {"file_path": "x.png"}}}
    table.write_text(json.dumps(cut))
    with pytest.raises(SourceError, match="5 has no 'face_landmarks'"):
        read_ffhq(ffhq)
    table.write_text(json.dumps({"2": whole["2"]}))
    with pytest.raises(SourceError, match="none of the pictures"):
        read_ffhq(ffhq)
    table.write_text("{")
    with pytest.raises(SourceError, match=r"v2\.json cannot be read"):
        read_ffhq(ffhq)
    table.unlink()
    with pytest.raises(SourceError, match=r"has no ffhq-dataset-v2\.json"):
        read_ffhq(ffhq)


def test_celeba_has_genders_and_identities(celeba, tmp_path):
    faces = items_of(Source(name="celeba", path="celeba"), tmp_path, 0, 64)
    assert [face.gender for face in faces] == ["female", "male", "female"]
    assert [face.identity for face in faces] == ["celeba/7", "celeba/9", "celeba/7"]
    assert all(face.landmarks is None for face in faces)


def test_celeba_tables_that_do_not_fit_are_named(celeba):
    attributes = celeba / "list_attr_celeba.txt"
    whole = attributes.read_text()
    attributes.write_text(whole.replace("Male", "Beard"))
    with pytest.raises(SourceError, match="no attribute 'Male'"):
        read_celeba(celeba)
    attributes.write_text(whole + "000004.jpg 1\n")
    with pytest.raises(SourceError, match=r"000004\.jpg has 1 attributes, not 3"):
        read_celeba(celeba)
    attributes.unlink()
    with pytest.raises(SourceError, match=r"list_attr_celeba\.txt does not exist"):
        read_celeba(celeba)


def test_celeba_that_cannot_be_downloaded_says_so(tmp_path, monkeypatch):
    def offline(*args, **options):
        raise RuntimeError("no network")

    monkeypatch.setattr("torchvision.datasets.CelebA", offline)
    with pytest.raises(SourceError, match="could not be downloaded"):
        read_celeba(tmp_path / "celeba")
    with pytest.raises(SourceError, match="mine has no img_align_celeba"):
        read_celeba(tmp_path / "mine")


def test_landmarks_are_found_once_for_each_content(celeba, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = []

    def found(image):
        asked.append(image.shape)
        return np.full((68, 2), len(asked), np.float32) if len(asked) < 2 else None

    monkeypatch.setattr(annotate, "_annotate", found)
    first, second, _ = read_celeba(celeba)
    assert (first.read().landmarks == 1).all()
    assert (first.read().landmarks == 1).all()
    assert asked == [(128, 128, 3)]
    for _ in range(2):
        with pytest.raises(UnreadableImage, match=r"000002\.jpg: no face was found"):
            second.read()
    assert len(asked) == 2


def test_without_dlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(annotate, "find_spec", lambda name: None)
    annotate._dlib.cache_clear()
    with pytest.raises(UnmaskError, match=r"unmask\[annotate\]"):
        landmarks_of(np.zeros((8, 8, 3), np.uint8), b"x", tmp_path / "landmarks.db")
    annotate._dlib.cache_clear()


def test_dlib_finds_the_landmarks_of_a_face_of_nobody(tmp_path):
    pytest.importorskip("dlib")
    face = Sampled(0, 0, 256).read()
    points = landmarks_of(face.image, face.image.tobytes(), tmp_path / "landmarks.db")
    across = np.linalg.norm(face.landmarks[45] - face.landmarks[36])
    assert np.linalg.norm(points - face.landmarks, axis=1).mean() / across < 0.1
