"""Clones of a project whose DVC settings were not committed."""

import shutil
from pathlib import Path

import pytest

from unmask.retraining.clone import RemoteError, default_remote, dvc, git, make_clone, pull_data

pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path) -> Path:
    """A project that holds data whose only other copy is in a remote that no commit names."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "t")
    git(folder, "config", "user.email", "t@example.org")
    dvc(folder, "init")
    (folder / "data.txt").write_text("faces")
    dvc(folder, "add", "data.txt")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "start")
    dvc(folder, "remote", "add", "--default", "team", "../storage")
    dvc(folder, "push")
    shutil.rmtree(folder / ".dvc" / "cache")
    (folder / ".dvc" / "config.local.bak").write_text("a secret")
    return folder


def test_a_clone_has_the_project_s_remote_and_commits_nothing_of_it(root, tmp_path):
    clone = tmp_path / "deep" / "clone"
    make_clone(root, clone, "HEAD")
    assert default_remote(clone) == "team"
    pull_data(clone, ["data.txt"])
    assert (clone / "data.txt").read_text() == "faces"
    assert git(clone, "status", "--porcelain") == ""
    git(clone, "add", "--all")
    assert git(clone, "status", "--porcelain") == ""


def test_a_remote_that_is_away_is_worth_another_try(root, tmp_path):
    dvc(root, "remote", "modify", "team", "url", "s3://faces/cache")
    dvc(root, "remote", "modify", "--local", "team", "endpointurl", "http://127.0.0.1:9")
    clone = tmp_path / "clone"
    make_clone(root, clone, "HEAD")
    with pytest.raises(RemoteError, match="pull"):
        pull_data(clone, ["data.txt"])
