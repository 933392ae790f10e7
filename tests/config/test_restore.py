import json
import shutil

import pytest

from unmask.config.restore import (
    RESTORE,
    Blending,
    Detection,
    Restore,
    load_restore,
    save_restore,
)
from unmask.errors import UnmaskError
from unmask.networks import RELEASED, packed_md5

CHANGED = Restore(blending=Blending(grain=0.25), detection=Detection(sides=(160, 2000)))


def test_what_is_saved_is_loaded(tmp_path):
    for settings in (CHANGED, Restore()):
        save_restore(settings, tmp_path / "models")
        assert load_restore(tmp_path / "models") == settings
    assert [path.name for path in (tmp_path / "models").iterdir()] == [RESTORE]


def test_a_folder_without_the_file_restores_by_the_defaults(tmp_path):
    assert load_restore(tmp_path) == Restore()


def test_a_file_of_before_a_setting_was_has_its_default(tmp_path):
    (tmp_path / RESTORE).write_text('{"blending": {"grain": 0.25}}')
    assert load_restore(tmp_path) == Restore(blending=Blending(grain=0.25))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is damaged: it is not JSON."),
        ('{"tone": {', "is damaged: it is not JSON."),
        ("\udcff", "is damaged: it is not JSON."),
        ("[]", "'the whole file' does not fit"),
        ('{"colour": 1}', "unknown parameter 'colour'"),
        ('{"tone": {"blur": -1}}', "parameter 'tone.blur' is -1"),
        ('{"tone": {"blur": "much"}}', "parameter 'tone.blur' is 'much'"),
        ('{"detection": {"sides": [640, 320]}}', "ascending order"),
        (
            '{"widening": {"at_border": {"distance": 0.1}}}',
            "'widening.at_border.stretch' is missing",
        ),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(tmp_path, content, words):
    (tmp_path / RESTORE).write_text(content, errors="surrogateescape")
    with pytest.raises(UnmaskError) as caught:
        load_restore(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / RESTORE))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_checksum_of_a_model_follows_what_differs_from_the_defaults(tmp_path):
    shutil.copytree(RELEASED, tmp_path / "model")
    found = []
    for settings in (Restore(), CHANGED, Restore(blending=Blending(grain=0.3)), CHANGED):
        save_restore(settings, tmp_path / "model")
        found.append(packed_md5(tmp_path / "model"))
    (tmp_path / "model" / RESTORE).unlink()
    assert found[0] == packed_md5(tmp_path / "model")
    assert found[1] == found[3]
    assert len(set(found)) == 3


def test_the_released_weights_say_what_they_restore_with():
    assert load_restore(RELEASED).model_dump(mode="json") == json.loads(
        (RELEASED / RESTORE).read_text()
    )
