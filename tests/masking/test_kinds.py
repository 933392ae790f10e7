"""What each kind of mask, fault and occluder promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unmask.config import occluders, params
from unmask.masking import DEFECTS, FABRICS, MASK_TYPES, OCCLUDERS, WEARS, put_on
from unmask.masking.finish import pixelated, sample_finish
from unmask.masking.light import estimate_light
from unmask.masking.outlines import sample_outline
from unmask.masking.panes import VISIBLE, render_pane, sample_pane
from unmask.masking.pose import pose_of
from unmask.masking.render import _shadow
from unmask.masking.shapes import SHAPES
from unmask.masking.straps import WIDTHS, strap_lines

PLAIN = {"fabrics": {"plain": 1.0}, "wear": {"proper": 1.0}}
SEEDS = st.integers(0, 2**32 - 1)
some = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def worn(face, seed, mask_type, **changes):
    image, landmarks = face
    rng = np.random.default_rng(seed)
    return put_on(image, landmarks, rng, types={mask_type: 1.0}, **(PLAIN | changes))


def test_params_know_every_name():
    assert params.MASK_TYPES == MASK_TYPES
    assert params.FABRICS == FABRICS
    assert params.WEARS == WEARS
    assert params.DEFECTS == DEFECTS
    assert occluders.OCCLUDERS == OCCLUDERS


@pytest.mark.parametrize("yaw", [-80, -60, -45, 45, 60, 80])
@pytest.mark.parametrize("mask_type", MASK_TYPES)
def test_turned_heads_wear_every_type(face, mask_type, yaw):
    image, landmarks = face(128, yaw)
    for seed in range(4):
        mask = worn((image, landmarks), seed, mask_type).mask
        assert 0.01 < mask.mean() < 0.7


@pytest.mark.parametrize("pitch", [-35, -20, 20, 35])
@pytest.mark.parametrize("mask_type", MASK_TYPES)
def test_heads_that_look_up_or_down_wear_every_type(face, mask_type, pitch):
    image, landmarks = face(128, 15, pitch)
    for seed in range(4):
        assert 0.01 < worn((image, landmarks), seed, mask_type).mask.mean() < 0.7


@some
@given(seed=SEEDS, mask_type=st.sampled_from(MASK_TYPES))
def test_outlines_are_in_reach_and_vary_less_where_asked(seed, mask_type):
    def strayed(variation):
        usual = sample_outline(mask_type, np.random.default_rng(seed), 0.0)
        varied = sample_outline(mask_type, np.random.default_rng(seed), variation)
        return max(np.abs(np.ptp(varied, axis=0) - np.ptp(usual, axis=0)))

    outline = sample_outline(mask_type, np.random.default_rng(seed))
    assert np.abs(outline[:, 0]).max() < 1.5
    assert -0.4 < outline[:, 1].min() < 0.6 < outline[:, 1].max() < 2.2
    assert strayed(0.0) == 0


def test_extents_run_from_lids_to_nostrils_and_from_chin_to_neck(face):
    image, landmarks = face()
    tops, feet = [], []
    for seed in range(60):
        mask = worn((image, landmarks), seed, ("surgical", "gaiter")[seed % 2]).mask
        column = np.nonzero(mask[:, round(landmarks[30, 0])])[0]
        tops.append(column.min())
        feet.append(column.max())
    assert min(tops) < landmarks[28, 1]
    assert max(tops) > landmarks[29, 1]
    assert min(feet) < landmarks[8, 1] + 4
    assert max(feet) == 127


@some
@given(seed=SEEDS)
def test_a_hard_edge_is_mask_or_photo_and_nothing_between(face, seed):
    image, landmarks = face()
    black = np.zeros_like(image)
    defects = {"edge": 1.0, "shadow": 0.0}
    result = worn((black, landmarks), seed, "cloth", defects=defects, fabrics={"camo": 1.0})
    assert (result.image[result.mask].max(axis=1) > 0).mean() > 0.98
    assert not result.image[~result.mask].any()


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_fault_changes_the_picture(face, defect):
    usual = worn(face(), 4, "surgical")
    faulty = worn(face(), 4, "surgical", defects={defect: 1.0})
    assert (usual.image != faulty.image).any()


def test_pasted_types_have_faults_of_their_own():
    rng = np.random.default_rng(0)
    hard = [sample_finish(rng, {}, SHAPES["flat"].pasted).hard for _ in range(200)]
    assert 0.4 < np.mean(hard) < 0.8
    assert not any(sample_finish(rng, {}, SHAPES["surgical"].pasted).hard for _ in range(50))


def test_blocks_are_of_one_colour():
    planes = np.random.default_rng(0).random((3, 32, 48), np.float32)
    squares = pixelated(planes, 8).reshape(3, 4, 8, 6, 8)
    assert np.ptp(squares, axis=(2, 4)).max() == 0


@some
@given(seed=SEEDS)
def test_a_clear_window_shows_the_mouth_and_is_no_mask(face, seed):
    image, landmarks = face()
    result = worn((image, landmarks), seed, "window")
    pane = sample_pane("window", np.random.default_rng(seed))
    u, v = np.meshgrid(np.linspace(-1, 1, 64), np.linspace(0, 1.2, 64))
    cover, opacity, _ = render_pane(pane, u, v, np.ones_like(u), 40)
    assert 0.05 < cover.mean() < 0.7
    assert ((opacity == 0) | (opacity >= VISIBLE)).all()
    assert result.mask.any()


def test_windows_are_clear_or_mask(face):
    image, landmarks = face()
    x, y = np.round(landmarks[66]).astype(int)
    clear = opaque = 0
    for seed in range(40):
        result = worn((image, landmarks), seed, "window")
        if result.mask[y, x]:
            opaque += 1
            assert (result.image[y, x] != image[y, x]).any()
        else:
            clear += 1
    assert min(clear, opaque) > 4


def test_a_visor_has_a_rim_over_the_brows(face):
    image, landmarks = face()
    brows = int(landmarks[17:27, 1].min())
    over = [worn((image, landmarks), seed, "shield").mask[:brows].any() for seed in range(20)]
    assert 0 < np.mean(over) < 1


def test_cartridges_stand_out_at_the_sides(face, monkeypatch):
    with_them = [worn(face(), seed, "respirator").mask for seed in range(8)]
    without = replace(SHAPES["respirator"], filters=0.0)
    monkeypatch.setitem(SHAPES, "respirator", without)
    bare = [worn(face(), seed, "respirator").mask for seed in range(8)]
    assert all((few <= many).all() for few, many in zip(bare, with_them, strict=True))
    assert sum((many & ~few).sum() for few, many in zip(bare, with_them, strict=True)) > 500


def test_what_stands_off_casts_its_shadow_farther(face):
    image, landmarks = face(256)
    pose = pose_of(landmarks)
    light = estimate_light(image, landmarks, pose, None)
    body = np.zeros((256, 256), np.float32)
    body[100:150, 100:150] = 1

    def offset(standoff):
        shadow = _shadow(body, light, pose, standoff)
        places = np.stack(np.mgrid[:256, :256][::-1], axis=-1)
        return ((places * shadow[..., None]).sum((0, 1)) / shadow.sum() - 124.5) @ light.toward[:2]

    assert offset(0.44) < offset(0.1) - 1


@pytest.mark.parametrize("kind", WIDTHS)
def test_straps_of_every_kind(face, kind):
    _, landmarks = face()
    pose = pose_of(landmarks)
    corners = landmarks[[[2, 4], [14, 12]]]
    lines = strap_lines(kind, corners, landmarks, pose, 0.02)
    assert bool(lines) == (kind != "none")
    assert all(np.isfinite(line).all() for line in lines)
    assert 0.01 <= WIDTHS[kind][0] <= WIDTHS[kind][1] < 0.25


def test_the_far_strap_of_a_profile_is_out_of_sight(face):
    _, landmarks = face(128, 60)
    pose = pose_of(landmarks)
    lines = strap_lines("loops", landmarks[[[2, 4], [14, 12]]], landmarks, pose, 0.0)
    assert len(lines) == 2


@pytest.mark.parametrize("kind", OCCLUDERS)
def test_an_occluder_is_seen_and_is_no_mask(face, kind):
    hidden = 0
    for seed in range(8):
        image, landmarks = face()
        bare = worn((image, landmarks), seed, "surgical")
        result = worn((image, landmarks), seed, "surgical", occluders={kind: 1.0})
        assert result.occluder.any()
        assert not (result.occluder & result.mask).any()
        assert (result.mask <= bare.mask).all()
        assert (bare.mask <= (result.mask | result.occluder)).all()
        outside = ~result.occluder & ~result.mask
        assert (result.image == bare.image)[outside].all()
        assert (result.image != image)[result.occluder].any(axis=1).mean() > 0.8
        hidden += int((bare.mask & ~result.mask).sum())
    assert hidden > 100


def test_nothing_is_before_a_mask_unless_asked(face):
    assert not worn(face(), 0, "surgical").occluder.any()


def test_a_given_picture_is_printed(face):
    green = np.zeros((40, 30, 3), np.uint8)
    green[:, :, 1] = 230
    shown = 0
    for seed in range(12):
        result = worn(face(), seed, "cloth", fabrics={"photo": 1.0}, printed=green)
        red, middle, blue = np.median(result.image[result.mask], axis=0)
        shown += int(middle > 2 * max(red, blue))
    assert 1 < shown < 11


def test_masks_of_skin_may_take_the_face_s_own(face):
    image, landmarks = face()
    image = np.full_like(image, (120, 170, 90))
    greenest = 0
    for seed in range(12):
        result = worn((image, landmarks), seed, "surgical", fabrics={"skin": 1.0})
        red, green, blue = np.median(result.image[result.mask], axis=0)
        greenest += int(green > red and green > blue)
    assert 0 < greenest < 12


@pytest.mark.parametrize("kind", ["defects", "occluders"])
def test_chances_that_make_no_sense(face, kind):
    with pytest.raises(ValueError, match=r"unknown .* 'rain'"):
        worn(face(), 0, "surgical", **{kind: {"rain": 0.5}})
    name = {"defects": "edge", "occluders": "hand"}[kind]
    with pytest.raises(ValueError, match=r"not in 0\.\.1"):
        worn(face(), 0, "surgical", **{kind: {name: 1.5}})
