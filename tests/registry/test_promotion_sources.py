"""What learned from synthetic faces alone does not replace what learned from real ones."""

import pytest

from unmask.networks import RELEASED, sources_of
from unmask.registry.promotion import _real_faces

REAL = {"utkface", "appearance_model"}
SYNTHETIC = {"appearance_model"}


@pytest.mark.parametrize(
    ("challenger", "champion", "holds"),
    [
        (SYNTHETIC, REAL, False),
        (SYNTHETIC, {"folder"}, False),
        (SYNTHETIC, SYNTHETIC, True),
        (SYNTHETIC, set(), True),
        (SYNTHETIC, None, True),
        (REAL, REAL, True),
        (set(), REAL, True),
    ],
)
def test_real_faces_are_not_given_up(challenger, champion, holds):
    reason = _real_faces(challenger, champion)
    assert reason.holds == holds
    assert ("synthetic faces alone" in reason.text) != holds


def test_the_release_learned_from_real_faces():
    assert sources_of(RELEASED) == {"utkface", "lfw", "folder"}
