from dataclasses import replace

import numpy as np
import pytest

from unmask.evaluation.evaluation_set import EvaluationSet, select_faces
from unmask.evaluation.measure import Measured
from unmask.evaluation.scores import HoleScores
from unmask.evaluation.slices import groups_of, slice_table


def label(**changes) -> dict:
    known = {
        "gender": "male",
        "ethnicity": "asian",
        "age": 31,
        "mask_type": "surgical",
        "wear": "proper",
        "yaw": 3.0,
        "source": "lfw",
    }
    return known | changes


def shard_of(labels: list[dict]) -> EvaluationSet:
    count = len(labels)
    genders = [{"male": 1, "female": 0, None: -1}[one["gender"]] for one in labels]
    pictures = np.zeros((count, 4, 4, 3), np.uint8)
    flat = np.ones((count, 4, 4), bool)
    points = np.zeros((count, 68, 2), np.float32)
    return EvaluationSet(pictures, pictures, flat, flat, points, np.array(genders), labels)


def measured_of(psnr: list[float], male: list[float]) -> Measured:
    values = np.array(psnr)
    hole = HoleScores(
        psnr=values,
        ssim=values / 100,
        l1=values / 50,
        perceptual=values / 60,
        detail=values / 2,
        true_detail=np.full(len(psnr), 20.0),
        picture_psnr=values + 9,
        picture_ssim=values / 30,
        picture_ms_ssim=None,
        frechet=1.0,
        identity=None,
    )
    count = len(psnr)
    return Measured(
        pictures=np.zeros((count, 4, 4, 3), np.uint8),
        gender_male=np.array(male),
        iou=values / 40,
        nme=values / 400,
        hole=hole,
        table={},
    )


def members(labels: list[dict]) -> dict[str, list[int]]:
    return {name: group.tolist() for name, group in groups_of(shard_of(labels)).items()}


def test_every_face_is_in_one_group_of_each_label():
    groups = members([label(), label(gender="female", yaw=-40.0), label(mask_type="kn95")])
    assert groups["gender=male"] == [0, 2]
    assert groups["gender=female"] == [1]
    assert groups["mask_type=surgical"] == [0, 1]
    assert groups["mask_type=kn95"] == [2]
    assert groups["source=lfw"] == [0, 1, 2]
    assert list(groups) == sorted(groups)


@pytest.mark.parametrize("name", ["gender", "ethnicity", "age"])
def test_unknown_labels_are_in_no_group(name):
    groups = members([label(**{name: None}), label()])
    assert [group for key, group in groups.items() if key.startswith(f"{name}=")] == [[1]]
    assert groups["source=lfw"] == [0, 1]


def test_age_bands_cover_every_age_once():
    groups = members([label(age=age) for age in range(121)])
    bands = [group for name, group in groups.items() if name.startswith("age=")]
    assert sorted(age for band in bands for age in band) == list(range(121))
    assert groups["age=16-29"] == list(range(16, 30))
    assert len(bands) == 5


def test_yaw_bands_are_symmetric_and_cover_every_angle():
    angles = [0.0, 9.99, -9.99, 10.0, -24.9, 25.0, -90.0, 90.0, 130.0]
    groups = members([label(yaw=yaw) for yaw in angles])
    bands = {name: group for name, group in groups.items() if name.startswith("yaw=")}
    assert sorted(bands.values()) == [[0, 1, 2], [3, 4], [5, 6, 7, 8]]


def test_the_table_holds_means_of_groups_large_enough():
    labels = [label(), label(), label(gender="female"), label(gender=None)]
    measured = measured_of([20.0, 24.0, 30.0, 10.0], [0.9, 0.4, 0.1, 0.9])
    rows = {row["slice"]: row for row in slice_table(shard_of(labels), measured, minimum=2)}
    assert "gender=female" not in rows  # a single face
    male = rows["gender=male"]
    assert male["faces"] == 2
    assert male["hole_psnr"] == pytest.approx(22)
    assert male["hole_ssim"] == pytest.approx(0.22)
    assert male["perceptual"] == pytest.approx(22 / 60)
    assert male["sharpness"] == pytest.approx(11 / 20)
    assert male["picture_psnr"] == pytest.approx(31)
    assert male["picture_ssim"] == pytest.approx(22 / 30)
    assert male["mask_iou"] == pytest.approx(22 / 40)
    assert male["nme"] == pytest.approx(22 / 400)
    assert male["gender_accuracy"] == pytest.approx(0.5)
    whole = rows["source=lfw"]
    assert whole["faces"] == 4
    assert whole["hole_psnr"] == pytest.approx(21)
    assert whole["gender_accuracy"] == pytest.approx(2 / 3)  # of the three that are labelled


def test_a_slice_without_known_gender_has_no_accuracy():
    labels = [label(gender=None), label(gender=None)]
    rows = slice_table(shard_of(labels), measured_of([20.0, 21.0], [0.9, 0.1]), minimum=1)
    assert rows
    assert all(row["gender_accuracy"] is None for row in rows)


def test_surgical_masks_alone_are_a_slice():
    labels = [label(), label(mask_type="cloth"), label()]
    measured = measured_of([20.0, 90.0, 24.0], [0.9, 0.9, 0.9])
    rows = {row["slice"]: row for row in slice_table(shard_of(labels), measured, minimum=2)}
    assert rows["mask_type=surgical"]["picture_psnr"] == pytest.approx(31)


def test_a_slice_whose_true_holes_show_no_detail_has_no_sharpness():
    measured = measured_of([20.0, 21.0], [0.9, 0.1])
    hole = replace(measured.hole, true_detail=np.zeros(2))
    rows = slice_table(shard_of([label(), label()]), replace(measured, hole=hole), minimum=1)
    assert all(row["sharpness"] is None for row in rows)
    assert "sharpness" not in hole.means()
    assert measured.hole.means()["sharpness"] == pytest.approx(20.5 / 40)


def test_a_shard_is_evenly_spread_and_leaves_out_faces_without_a_visible_hole():
    count = 12
    split_of = type("Split", (), {"__len__": lambda self: count})
    split = split_of()
    split.image = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3))
    split.masked = split.image[:, None] + 100
    split.mask = np.zeros((count, 1, 4, 4), bool)
    split.mask[:, 0, 1, 1] = True
    split.valid = np.ones((count, 4, 4), bool)
    split.valid[4, 1, 1] = False
    split.landmarks = np.zeros((count, 68, 2), np.float32)
    split.gender = lambda face: np.float32([1, 0, np.nan][face % 3])
    style = {"mask_type": "fish", "fabric": "plain", "wear": "proper", "yaw": 0.0}
    split.labels = [
        {"id": str(face), "source": "lfw", "variants": [style]} for face in range(count)
    ]
    eval_set = select_faces(split, 6)
    kept = [0, 2, 6, 8, 10]  # every second one, less face 4
    assert [one["id"] for one in eval_set.labels] == [str(face) for face in kept]
    assert eval_set.images[:, 0, 0, 0].tolist() == kept
    assert eval_set.masked[:, 0, 0, 0].tolist() == [face + 100 for face in kept]
    assert eval_set.gender.tolist() == [1, -1, 1, -1, 0]
    assert eval_set.labels[0]["mask_type"] == "fish"
    assert "variants" not in eval_set.labels[0]
    assert len(select_faces(split, 99)) == count - 1
