from pathlib import Path

import numpy as np
import pytest

from unmask.config.restore import (
    RESTORE,
    Blending,
    MaskDetection,
    Restore,
    save_restore,
)
from unmask.errors import UnmaskError
from unmask.faces.sources import Sampled
from unmask.geometry.frame import canonical_transform, move_points
from unmask.geometry.landmarks import mirrored
from unmask.inference.chain import Chain

SIDE = 96


class Landmarks:
    """The landmarks of a symmetric face in its frame, whatever the crop shows."""

    image_size = SIDE

    def __init__(self) -> None:
        face = Sampled(0, 0, SIDE).read().landmarks
        straight = move_points(face, canonical_transform(face, SIDE))
        even = (straight + mirrored(straight, SIDE)) / 2
        self.points = move_points(even, canonical_transform(even, SIDE))

    def __call__(self, images):
        return [np.stack([self.points] * len(images))]


class RedIsMask:
    image_size = SIDE

    def __call__(self, images):
        return [images[:, 0] * (images[:, 1] < 0.2), np.full(len(images), 0.95, np.float32)]


class NoGender:
    image_size = SIDE

    def __call__(self, images):
        return [np.zeros(len(images), np.float32), np.zeros((len(images), 3), np.float32)]


class Blue:
    latent, image_size = 2, SIDE

    def __call__(self, images, hole, landmarks, gender, latent):
        return [np.where(hole > 0, np.float32([0, 0, 1])[:, None, None], images)]


@pytest.fixture
def chain() -> Chain:
    networks = {
        "landmarks": Landmarks(),
        "segmentation": RedIsMask(),
        "gender": NoGender(),
        "inpainting": Blue(),
    }
    return Chain(networks, Restore())


def picture_with(rows: slice, columns: slice) -> np.ndarray:
    """A picture that is the frame, with a red mask."""
    picture = np.random.default_rng(0).integers(100, 140, (SIDE, SIDE, 3)).astype(np.uint8)
    picture[rows, columns] = (255, 0, 0)
    return picture


def over_the_mouth() -> tuple[slice, slice]:
    x, y = Landmarks().points[48:].mean(axis=0).round().astype(int)
    return slice(y - 14, y + 14), slice(x - 24, x + 24)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (15, 200), (200, 15)])
def test_a_tiny_picture_comes_back_with_the_reason(chain, height, width):
    picture = np.full((height, width, 3), 90, np.uint8)
    restored = chain.restore(picture)
    np.testing.assert_array_equal(restored.picture, picture)
    (face,) = restored.faces
    assert face.status == "skipped"
    assert f"{width} x {height} pixels" in face.reason


def test_views_that_are_turned_and_mirrored_find_the_mask_at_its_place(chain):
    rows, columns = over_the_mouth()
    picture = picture_with(rows, columns)
    restored = chain.restore(picture)
    assert restored.faces[0].status == "restored"
    red = np.zeros((SIDE, SIDE), bool)
    red[rows, columns] = True
    assert (restored.mask & red).sum() / (restored.mask | red).sum() > 0.97
    blue = restored.picture[red].astype(int) - (0, 0, 255)
    assert np.abs(blue).max() < 60  # grain


def test_a_mask_with_a_window_before_the_mouth_is_the_face_s(chain):
    rows, columns = over_the_mouth()
    picture = picture_with(rows, columns)
    picture[rows.start + 4 : rows.stop - 4, columns.start + 4 : columns.stop - 4] = 120
    assert chain.restore(picture).faces[0].status == "restored"


def test_a_shield_s_rim_around_the_mouth_is_the_face_s(chain):
    rows, columns = over_the_mouth()
    picture = picture_with(rows, columns)
    picture[rows.start : rows.stop - 6, columns.start + 6 : columns.stop - 6] = 120
    assert chain.restore(picture).faces[0].status == "restored"


class Small:
    """A network that sees the face at half the frame's side."""

    image_size = SIDE // 2

    def __init__(self, network, answer) -> None:
        self.network, self.answer, self.seen = network, answer, []

    def __call__(self, images):
        self.seen.append(images.shape[-1])
        large = images.repeat(2, axis=2).repeat(2, axis=3)
        return self.answer(*self.network(large))


def test_each_network_sees_the_face_at_its_own_size(chain):
    rows, columns = over_the_mouth()
    picture = picture_with(rows, columns)
    expected = chain.restore(picture)

    def half(maps):
        return maps.reshape(len(maps), SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))

    small = {
        "landmarks": Small(chain.networks["landmarks"], lambda points: [(points + 0.5) / 2 - 0.5]),
        "segmentation": Small(
            chain.networks["segmentation"], lambda found, scores: [half(found), scores]
        ),
        "gender": Small(chain.networks["gender"], lambda *found: list(found)),
    }
    mixed = Chain({**chain.networks, **small}, Restore())
    restored = mixed.restore(picture)
    assert mixed.size == SIDE
    assert {side for network in small.values() for side in network.seen} == {SIDE // 2}
    np.testing.assert_allclose(restored.faces[0].landmarks, expected.faces[0].landmarks, atol=0.1)
    overlap = (restored.mask & expected.mask).sum() / (restored.mask | expected.mask).sum()
    assert overlap > 0.93
    points = chain.landmarks(picture)
    np.testing.assert_allclose(mixed.landmarks(picture), points, atol=0.1)


def test_a_mask_that_leaves_the_mouth_bare_is_not_the_face_s(chain):
    picture = picture_with(slice(4, 24), slice(20, 76))
    restored = chain.restore(picture)
    assert restored.faces[0].status == "no_mask"
    np.testing.assert_array_equal(restored.picture, picture)


def test_what_belongs_to_another_face_stays(chain):
    rows, columns = over_the_mouth()
    picture, own = picture_with(rows, columns), np.ones((SIDE, SIDE), bool)
    border = columns.stop - 10
    own[:, border:] = False
    restored = chain.restore(picture, own=own)
    assert restored.faces[0].status == "restored"
    rim = 5
    others = np.s_[:, border + rim :]
    np.testing.assert_array_equal(restored.picture[others], picture[others])
    assert restored.hole[rows, columns.start : border - 1].all()


@pytest.mark.parametrize(
    "changes",
    [
        {"score": 0.96},
        {"area": 0.9},
        {"mouth": 1.0, "area": 0.0},
    ],
)
def test_what_counts_as_a_mask_is_a_setting(chain, changes):
    rows, columns = over_the_mouth()
    picture = picture_with(slice(rows.start, rows.stop - 12), columns)
    assert chain.restore(picture).faces[0].status == "restored"
    stricter = Chain(chain.networks, Restore(mask=MaskDetection(**changes)))
    assert stricter.restore(picture).faces[0].status == "no_mask"


@pytest.mark.parametrize(
    "settings",
    [
        Restore(blending=Blending(replaced=0.05)),
        Restore(blending=Blending(filled=0.06)),
        Restore(blending=Blending(band=0.2)),
        Restore(blending=Blending(grain=0.0)),
        Restore(blending=Blending(strongest_grain=0.5)),
        Restore(blending=Blending(surroundings=(0.02, 0.04))),
    ],
    ids=lambda settings: settings.fingerprint.decode(),
)
def test_a_setting_changes_the_pixels(chain, settings):
    rows, columns = over_the_mouth()
    picture = picture_with(rows, columns)
    before, after = (Chain(chain.networks, s).restore(picture) for s in (Restore(), settings))
    assert before.faces[0].status == after.faces[0].status == "restored"
    assert (before.picture != after.picture).any()


def test_a_stored_chain_restores_by_the_settings_beside_it(tmp_path, monkeypatch, chain):
    asked = []

    def load(at: Path, threads: int | None):
        asked.append(threads)
        return chain.networks[at.name]

    monkeypatch.setattr("unmask.inference.chain.OnnxNetwork", load)
    assert Chain.load(tmp_path, 2).settings == Restore()
    assert asked == [2] * 4
    settings = Restore(blending=Blending(grain=0.25))
    save_restore(settings, tmp_path)
    assert Chain.load(tmp_path).settings == settings
    (tmp_path / RESTORE).write_text("{")
    with pytest.raises(UnmaskError, match=r"restore\.json is damaged"):
        Chain.load(tmp_path)
