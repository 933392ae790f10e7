"""Faces as their sources give them: padded to one size, and scored as if they were not."""

import numpy as np
import pytest

from unmask.config.params import Params
from unmask.datasets.cache import open_split
from unmask.errors import UnmaskError
from unmask.evaluation.evaluation_set import (
    EvaluationSet,
    box_of,
    fill_frames,
    fill_pictures,
    select_faces,
)
from unmask.evaluation.native_resolution import at_native_resolution
from unmask.evaluation.scores import TrueFaces
from unmask.faces import dataset as faces_stage
from unmask.geometry.frame import canonical_transform, scale_of
from unmask.masking import dataset as masked_stage
from unmask.metrics.region import region_detail, region_psnr
from unmask.metrics.ssim import region_ssim


@pytest.fixture
def given(smoke, face_folder, tmp_path) -> tuple[EvaluationSet, Params]:
    tree = smoke.model_dump()
    sources = []
    for name, size in (("small", 80), ("large", 112)):
        face_folder(
            4, name=name, size=size, change=lambda i, row, n=name: row.update(identity=f"{n} {i}")
        )
        sources.append({"name": "folder", "path": name})
    tree["faces"] = {"sources": sources, "workers": 1, "shard_rows": 16}
    params = Params.model_validate(tree)
    faces_stage.make(params, tmp_path / "data")
    masked_stage.make(params, tmp_path / "data")
    split = open_split(tmp_path / "data" / "masked", "train", tmp_path / "cache")
    return at_native_resolution(params, tmp_path, split), select_faces(split, 12)


def test_pictures_keep_their_own_pixels_and_wear_the_frames_mask(given):
    eval_set, framed = given
    assert not eval_set.framed
    assert {label["source"] for label in eval_set.labels} == {"folder"}
    sizes = {box_of(valid)[0].stop for valid in eval_set.valid}
    assert sizes == {80, 112}
    styles = {label["id"]: label["mask_type"] for label in framed.labels}
    for picture, masked, valid, mask, label in zip(
        eval_set.images,
        eval_set.masked,
        eval_set.valid,
        eval_set.masks,
        eval_set.labels,
        strict=True,
    ):
        assert label["mask_type"] == styles[label["id"]]
        assert (masked[~valid] == 0).all()
        assert mask[valid].any()
        assert not mask[~valid].any()
        far = ~mask & valid
        assert (masked[far] == picture[far]).mean() > 0.6  # but for the mask's shadow


def test_faces_of_one_source_are_taken_alone(smoke, masked, tmp_path):
    split = open_split(masked, "train", tmp_path / "cache")
    assert len(select_faces(split, 5, "appearance_model")) == len(select_faces(split, 5)) == 5
    with pytest.raises(UnmaskError, match="no face of the split is of the source 'lfw'"):
        select_faces(split, 5, "lfw")
    with pytest.raises(UnmaskError, match="the split has 1 faces to score, and 2 are needed"):
        select_faces(split, 1)


def test_padding_changes_no_score(given):
    eval_set, _ = given
    rng = np.random.default_rng(0)
    filled = np.where(
        eval_set.masks[..., None], rng.integers(0, 256, eval_set.images.shape), eval_set.images
    ).astype(np.uint8)
    truth = TrueFaces(
        eval_set.images, eval_set.valid, eval_set.masks, eval_set.landmarks, identity=False
    )
    scores = truth.score(filled)
    assert (truth.psnr(filled) == scores.psnr).all()
    for index, valid in enumerate(eval_set.valid):
        box = box_of(valid)
        pair = filled[index][box][None], eval_set.images[index][box][None]
        hole, whole = eval_set.masks[index][box][None], valid[box][None]
        assert scores.psnr[index] == region_psnr(*pair, hole)[0]
        assert scores.ssim[index] == region_ssim(*pair, hole)[0]
        assert scores.picture_psnr[index] == region_psnr(*pair, whole)[0]
        assert scores.picture_ssim[index] == region_ssim(*pair, whole)[0]
        scale = scale_of(canonical_transform(eval_set.landmarks[index], 256))
        assert scores.detail[index] == region_detail(pair[0], hole, np.array([scale]))[0]
        assert scores.true_detail[index] == region_detail(pair[1], hole, np.array([scale]))[0]
    assert scores.sharpness() > 2  # noise


def test_what_knows_frames_only_fills_the_hole_at_the_faces_place(given):
    eval_set, _ = given

    def eyes_level(picture, hole):
        """The frame's row as grey level."""
        rows = np.arange(len(picture), dtype=np.uint8)[:, None, None]
        return np.where(hole[..., None], rows, picture)

    filled = fill_frames(eyes_level, eval_set, 64)
    for index, (picture, mask) in enumerate(zip(filled, eval_set.masks, strict=True)):
        assert (picture[~mask] == eval_set.masked[index][~mask]).all()
        transform = canonical_transform(eval_set.landmarks[index], 64)
        rows, columns = np.nonzero(mask)
        expected = (transform @ np.stack([columns, rows, np.ones(len(rows))]))[1]
        level = picture[mask][:, 0]
        inner = (expected > 0) & (expected < 63)
        assert np.abs(level[inner] - expected[inner]).mean() < 1.0


def test_frames_are_filled_as_they_are(given):
    _, framed = given

    def black(picture, hole):
        return np.where(hole[..., None], 0, picture).astype(np.uint8)

    np.testing.assert_array_equal(fill_frames(black, framed, 64), fill_pictures(black, framed))


@pytest.mark.parametrize("rows", [(2, 9), (0, 1)])
def test_the_box_of_a_picture_is_where_it_was_padded(rows):
    valid = np.zeros((12, 10), bool)
    valid[slice(*rows), 3:7] = True
    assert box_of(valid) == (slice(*rows), slice(3, 7))
