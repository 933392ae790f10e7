import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unmask.config.params import Params
from unmask.datasets.splits import SPLITS
from unmask.faces import dataset as faces_stage
from unmask.faces.duplicates import cross_split_duplicates, picture_hash
from unmask.faces.sources import Sampled

BITS = st.integers(0, 2**64 - 1)


def test_a_picture_saved_again_keeps_its_hash_and_another_face_has_another():
    faces = [Sampled(0, index, 128).read().image for index in range(20)]
    hashes = [picture_hash(face) for face in faces]
    for face, value in zip(faces, hashes, strict=True):
        jpeg = cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)
        small = cv2.resize(cv2.resize(face, (96, 96)), (128, 128))
        for again in (jpeg, small, np.clip(face.astype(int) + 8, 0, 255).astype(np.uint8)):
            assert (picture_hash(again) ^ value).bit_count() <= 4
    assert min((a ^ b).bit_count() for a in hashes for b in hashes if a != b) > 4


@given(BITS, st.sets(st.integers(0, 63), max_size=8))
def test_pairs_are_near_up_to_four_bits(value, flipped):
    other = value
    for bit in flipped:
        other ^= 1 << bit
    near = cross_split_duplicates([value, other], ["train", "test"])
    assert near == ({0: 1} if len(flipped) <= 4 else {})


@given(st.lists(st.sampled_from(SPLITS), min_size=2, max_size=6))
def test_the_most_protected_split_keeps_its_face(splits):
    gone = cross_split_duplicates([7] * len(splits), splits)
    left = [split for index, split in enumerate(splits) if index not in gone]
    assert set(left) == {min(splits, key=SPLITS.index)}
    assert all(splits[stays] != splits[gives] for gives, stays in gone.items())


def test_a_repeated_photo_is_left_out_of_the_less_protected_split(smoke, face_folder, tmp_path):
    people = ["Tony_Blair", "George_W_Bush"]  # of train and holdout

    landmarks = Sampled(0, 0, 128).read().landmarks.ravel().tolist()

    def of_one_photo(index, row):
        row.update(identity=people[index], landmarks=landmarks)

    folder = face_folder(2, change=of_one_photo)
    first, second = sorted(folder.glob("*.png"))
    second.write_bytes(first.read_bytes())
    tree = smoke.model_dump()
    source = {"name": "folder", "path": "mine"}
    tree["faces"] = {"sources": [source], "workers": 1, "shard_rows": 16}
    (sentence,) = faces_stage.make(Params.model_validate(tree), tmp_path / "data")
    assert "mine/000.png: repeats" in sentence
    assert "mine/001.png of split holdout" in sentence
