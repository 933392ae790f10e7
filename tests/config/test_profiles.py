import pytest
from project import ROOT
from ruamel.yaml import YAML

from unmask.config.profiles import add_sources, change_params, use_profile
from unmask.errors import UnmaskError

TEXT = (ROOT / "conf" / "cpu.yaml").read_text()
DECLARED = ("seed", "masking.types", "train")


def tree(text: str) -> dict:
    return YAML(typ="safe").load(text)


def leaves(node: object, name: str = "") -> dict[str, object]:
    if not isinstance(node, dict):
        return {name: node}
    return {k: v for key, value in node.items() for k, v in leaves(value, f"{name}.{key}").items()}


@pytest.mark.parametrize("name", ["paper", "release", "smoke"])
def test_a_profile_changes_what_it_names_and_keeps_the_rest_with_its_comments(name, tmp_path):
    use_profile(name, ROOT / "conf", tmp_path / "params.yaml")
    written = (tmp_path / "params.yaml").read_text()
    laid_over = leaves(tree((ROOT / "conf" / f"{name}.yaml").read_text()))
    assert leaves(tree(written)) == leaves(tree(TEXT)) | laid_over
    assert written.startswith(f"# Profile {name}: conf/{name}.yaml laid over conf/cpu.yaml")
    assert "# weights that styles are drawn by" in written


def test_declared_params_change_and_all_else_stays():
    after = change_params(
        TEXT, {"seed": 7, "masking.types.cloth": 9.0, "train.gender.steps": 50}, DECLARED
    )
    expected = tree(TEXT)
    expected["seed"] = 7
    expected["masking"]["types"]["cloth"] = 9.0
    expected["train"]["gender"]["steps"] = 50
    assert tree(after) == expected
    assert "# weights that styles are drawn by" in after


def test_changes_to_what_is_there_change_nothing():
    assert change_params(TEXT, {"seed": 0, "masking.types": tree(TEXT)["masking"]["types"]}, DECLARED) is TEXT  # fmt: skip  # noqa: E501
    assert change_params(TEXT, {}, DECLARED) is TEXT


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gate.confidence": 0.6}, "'gate.confidence' may not be changed"),
        ({"seeds": 1}, "'seeds' may not be changed"),
        ({"masking.types.hat": 1.0}, "no parameter 'masking.types.hat'"),
        ({"train.gender.deep.er": 1}, "no parameter 'train.gender.deep.er'"),
        ({"seed": -1}, "'seed' is -1"),
        ({"masking.types": {"hat": 1.0}}, "unknown name 'hat'"),
    ],
)
def test_other_changes_are_refused_by_name(changes, words):
    with pytest.raises(UnmaskError, match=words):
        change_params(TEXT, changes, DECLARED)


def test_sources_are_added_once():
    after = add_sources(TEXT, ["data/sources/a", "data/sources/b"])
    assert tree(after)["faces"]["sources"][1:] == [
        {"name": "folder", "path": f"data/sources/{name}"} for name in "ab"
    ]
    assert add_sources(after, ["data/sources/a"]) is after
