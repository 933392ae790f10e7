"""The version is written once, and the changelog begins with it."""

import re
import tomllib

from project import ROOT

import unmask


def test_the_package_is_built_with_the_version_of_its_code():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in document["project"]["dynamic"]
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "unmask.__version__"}


def test_the_changelog_begins_with_the_version():
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest.group(1) == unmask.__version__
