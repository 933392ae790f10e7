import ast
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT
from ruamel.yaml import YAML

from unmask.config.augment import Augment
from unmask.config.params import load_params, parse_params
from unmask.config.profiles import use_profile
from unmask.config.restore import Restore
from unmask.config.section import Section
from unmask.errors import UnmaskError

PROFILES = sorted(path.stem for path in (ROOT / "conf").glob("*.yaml"))


def tree() -> dict:
    return YAML(typ="safe").load((ROOT / "conf" / "cpu.yaml").read_text())


def refused(changed: dict) -> str:
    with pytest.raises(UnmaskError) as caught:
        parse_params(changed, ROOT / "params.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert "params.yaml" in message
    return message


def test_committed_params_are_profile_finetune_as_the_command_writes_it(tmp_path):
    use_profile("finetune", ROOT / "conf", tmp_path / "params.yaml")
    assert (tmp_path / "params.yaml").read_text() == (ROOT / "params.yaml").read_text()


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_is_whole_and_valid(name, tmp_path):
    use_profile(name, ROOT / "conf", tmp_path / "params.yaml")
    params = load_params(tmp_path / "params.yaml")
    for network in ("gender", "landmarks", "segmentation", "inpainting"):
        fit = getattr(params.train, network)
        assert fit.steps % fit.epoch_steps == 0


def test_the_defaults_of_restore_never_change():
    """Models stored without restore.json were tuned with them; a better value goes into conf/."""
    document = Restore().model_dump_json().encode()
    assert md5(document).hexdigest() == "7b91ee58d08d06ef2c935871eb43e0e3"


def test_profile_cpu_writes_every_value_of_restore_and_augment():
    params, written = load_params(ROOT / "conf" / "cpu.yaml"), tree()
    assert params.restore.model_dump(mode="json") == written["restore"]
    assert params.augment.model_dump(mode="json") == written["augment"]


def test_params_of_before_restore_and_augment_have_their_defaults():
    before = {key: part for key, part in tree().items() if key not in ("restore", "augment")}
    params = parse_params(before, ROOT / "params.yaml")
    assert params.restore == Restore()
    assert params.augment == Augment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style.grey", 1.5),
        ("style.hue", 0.6),
        ("degradation.quality", [50, 101]),
        ("degradation.resolution", [0.0, 0.5]),
    ],
)
def test_augmentation_that_cannot_be_drawn_is_refused(name, value):
    changed = tree()
    part, leaf = name.split(".")
    changed["augment"]["inpainting"][part][leaf] = value
    with pytest.raises(UnmaskError, match=f"augment.inpainting.{name}"):
        parse_params(changed, ROOT / "params.yaml")


def leaves(section: Section) -> set[str]:
    found = set()
    for name, value in section:
        found |= leaves(value) if isinstance(value, Section) else {name}
    return found


@pytest.mark.parametrize(
    ("section", "folder"), [(Restore(), "inference"), (Augment(), "augmentation")]
)
def test_every_setting_is_read_where_it_is_used(section, folder):
    read = {
        node.attr
        for file in (ROOT / "src" / "unmask" / folder).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert leaves(section) - read == set()


def test_unknown_profile_names_the_known_ones(tmp_path):
    with pytest.raises(UnmaskError, match=r"no profile 'nosuch'.*cpu.*smoke"):
        use_profile("nosuch", ROOT / "conf", tmp_path / "params.yaml")
    assert not (tmp_path / "params.yaml").exists()


@given(key=st.from_regex(r"[a-z_]{1,12}", fullmatch=True))
def test_unknown_key_is_named(key):
    changed = tree()
    if key in changed["train"]["gender"]:
        return
    changed["train"]["gender"][key] = 1
    assert f"unknown parameter 'train.gender.{key}'" in refused(changed)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("train.gender", "steps", "many"),
        ("train.gender", "steps", 0),
        ("train.gender", "steps", 2.5),
        ("train.inpainting", "ema", 1.5),
        ("train.inpainting", "precision", "16"),
        ("train.segmentation", "mask_resolution", 30),
        ("masking", "variants", True),
        ("gate", "confidence", 0.2),
        ("gate", "primary", "ssim"),
        ("gate.slice_tolerance", "perceptual", 0.0),
        ("restore.blending", "grain", 1.5),
        ("restore.detection", "sides", [640, 320]),
        ("augment.gender.camera", "quality", [95, 35]),
        ("augment.inpainting.style", "sepia", -0.1),
    ],
)
def test_value_that_does_not_fit_is_named(section, key, value):
    changed = tree()
    part = changed
    for name in section.split("."):
        part = part[name]
    part[key] = value
    message = refused(changed)
    assert f"'{section}.{key}'" in message
    assert repr(value) in message


def test_missing_key_is_named():
    changed = tree()
    del changed["gate"]["floors"]["nme"]
    assert "'gate.floors.nme' is missing" in refused(changed)


def test_impossible_image_size():
    assert "'image_size' is 100" in refused({**tree(), "image_size": 100})


def test_unknown_mask_type():
    changed = tree()
    changed["masking"]["types"]["balaclava"] = 1.0
    assert "unknown name 'balaclava'" in refused(changed)


def test_source_without_its_path():
    changed = tree()
    changed["faces"]["sources"] = [{"name": "utkface"}]
    assert "utkface needs a path" in refused(changed)


def test_missing_file_says_what_to_run(tmp_path):
    with pytest.raises(UnmaskError, match="unmask params use cpu"):
        load_params(tmp_path / "params.yaml")


def test_broken_yaml_is_named(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("seed: [1")
    with pytest.raises(UnmaskError, match="not valid YAML"):
        load_params(path)


def test_params_are_frozen():
    params = load_params(ROOT / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1
