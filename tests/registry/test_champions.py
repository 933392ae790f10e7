"""Changes of the champion in a real MLflow store."""

import getpass
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from champion import make_champion
from mlflow import MlflowClient
from project import DVC_YAML

from unmask.registry.champions import (
    ChampionGoneError,
    champion,
    commit_of_champion,
    history,
    replace_champion,
    roll_back,
    rollback_of,
)
from unmask.registry.loading import CHAMPION_URI, find_networks
from unmask.registry.promotion import judge_version, last_judgement
from unmask.registry.references import reference_of_champion
from unmask.registry.versions import CHAMPION, NAME, RegistryError, tag_verdict, version_of
from unmask.store import connect

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    return folder


@pytest.fixture
def client(project, monkeypatch) -> MlflowClient:
    """A store whose model has versions 1 to 4 and no champion."""
    monkeypatch.chdir(project)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    client = connect(create=True)
    if client.search_registered_models():
        client.delete_registered_model(NAME)
    client.create_registered_model(NAME)
    for _ in range(4):
        client.create_model_version(NAME, (project / "networks").as_uri())
    return client


def test_every_change_is_kept_with_who_when_and_why(client):
    why = "ü" * 1500
    for number in range(24):
        make_champion(str(1 + number % 4), f"{number} {why}")
    changes = history()
    assert [c.version for c in changes] == [str(1 + number % 4) for number in range(24)]
    assert [c.previous for c in changes] == [None, *[c.version for c in changes[:-1]]]
    assert [int(c.why.split()[0]) for c in changes] == list(range(24))
    tags = client.get_registered_model(NAME).tags.values()
    assert max(map(len, tags)) <= 5000  # what PostgreSQL's column holds


def test_a_rollback_is_recorded_and_takes_effect_at_once(client):
    make_champion("1", "first")
    make_champion("2", "better")
    before = datetime.now(UTC).replace(microsecond=0)
    change = roll_back("worse on real photos")
    assert version_of(CHAMPION) == "1"
    assert history()[-1] == change
    assert (change.kind, change.previous, change.who) == ("rollback", "2", getpass.getuser())
    assert change.why == "worse on real photos"
    assert before <= datetime.fromisoformat(change.when) <= datetime.now(UTC)
    with pytest.raises(RegistryError, match="no earlier champion"):
        roll_back("once more")


def test_rolling_back_twice_goes_back_twice_and_promotion_goes_on_from_there(client):
    for version in ("1", "2", "3"):
        make_champion(version, "better")
    assert [roll_back("worse").version for _ in range(2)] == ["2", "1"]
    make_champion("4", "better")
    assert roll_back("worse").version == "1"


def test_rollback_passes_over_deleted_versions(client):
    for version in ("1", "2", "3"):
        make_champion(version, "better")
    client.delete_model_version(NAME, "2")
    assert roll_back("worse").version == "1"
    client.delete_model_version(NAME, "1")
    with pytest.raises(RegistryError, match="version 1, is gone"):
        make_champion("4", "judged without it")
    with pytest.raises(RegistryError, match="no earlier champion"):
        roll_back("3 was rolled back, and nothing before it is left")


def test_a_deleted_champion_is_rolled_back_from(client):
    make_champion("1", "first")
    make_champion("2", "better")
    client.delete_model_version(NAME, "2")
    assert version_of(CHAMPION) is None
    assert roll_back("deleted by mistake").version == "1"


@pytest.mark.parametrize("deleted", ["version", "alias"])
def test_a_champion_that_is_gone_is_told_from_none_yet(client, deleted):
    assert champion() is None
    make_champion("1", "first")
    make_champion("2", "better")
    assert champion() == "2"
    if deleted == "version":
        client.delete_model_version(NAME, "2")
    else:
        client.delete_registered_model_alias(NAME, CHAMPION)
    gone = f"version 2, is gone: its {deleted} was deleted. Run `unmask models rollback`"
    for act in (
        champion,
        commit_of_champion,
        find_networks,
        reference_of_champion,
        lambda: find_networks(CHAMPION_URI),
        lambda: replace_champion(None, "3", "judged without one"),
        lambda: judge_version(SimpleNamespace(gate=None), None, "3"),
        last_judgement_of_3,
    ):
        with pytest.raises(ChampionGoneError, match=gone):
            act()
    assert history()[-1].version == "2"
    assert roll_back("deleted by mistake").version == ("1" if deleted == "version" else "2")
    assert champion() is not None


def last_judgement_of_3():
    tag_verdict("3", {"champion": None, "reasons": []})
    return last_judgement("3")


def test_a_rollback_to_a_version_that_is_named_needs_no_earlier_champion(client):
    make_champion("2", "better")
    client.delete_model_version(NAME, "2")
    with pytest.raises(RegistryError, match="name a version by --to"):
        roll_back("deleted by mistake")
    with pytest.raises(RegistryError, match="no version 9"):
        roll_back("deleted by mistake", "9")
    assert roll_back("deleted by mistake", "3").previous is None
    make_champion("4", "better")
    assert roll_back("worse").version == "3"


def test_a_version_that_is_named_leaves_the_champions_before(client):
    for version in ("1", "2", "3"):
        make_champion(version, "better")
    assert roll_back("worse", "4").version == "4"
    with pytest.raises(RegistryError, match="version 4 is the champion already"):
        roll_back("worse", "4")
    assert roll_back("not that one").version == "2"
    assert roll_back("back", "1").version == "1"
    with pytest.raises(RegistryError, match="no earlier champion"):
        roll_back("once more")


def test_an_alias_moved_by_hand_is_rolled_back_to_the_last_champion_on_record(client):
    make_champion("1", "first")
    make_champion("2", "better")
    client.set_registered_model_alias(NAME, CHAMPION, "4")
    assert roll_back("not judged").version == "2"


def test_what_was_rolled_back_is_known_until_it_is_promoted_again(client):
    make_champion("1", "first")
    make_champion("2", "better")
    assert rollback_of("2") is None
    change = roll_back("worse")
    assert rollback_of("2") == change
    assert rollback_of("1") is None
    make_champion("2", "better after all")
    assert rollback_of("2") is None


def test_of_promotions_judged_against_one_champion_the_first_wins(client):
    make_champion("1", "first")

    def try_to(version: str) -> str | RegistryError:
        try:
            return replace_champion("1", version, "better than 1").version
        except RegistryError as error:
            return error

    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(try_to, ("2", "3", "4")))
    (winner,) = [end for end in ended if isinstance(end, str)]
    assert version_of(CHAMPION) == winner
    assert [c.version for c in history()] == ["1", winner]
    for error in ended:
        if error != winner:
            assert f"meanwhile the champion became version {winner}" in str(error)


def test_a_registry_that_fails_is_not_one_without_a_champion(client, project):
    make_champion("1", "first")
    with sqlite3.connect(project / "mlflow.db") as database:
        database.execute("alter table registered_model_aliases rename to lost")
    try:
        for read in (lambda: version_of(CHAMPION), history):
            with pytest.raises(RegistryError, match="cannot be read"):
                read()
    finally:
        with sqlite3.connect(project / "mlflow.db") as database:
            database.execute("alter table lost rename to registered_model_aliases")
    assert version_of(CHAMPION) == "1"
