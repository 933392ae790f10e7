"""The flow `monitor` against a real Prefect server and a real MLflow store."""

import time
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.events import Event
from prefect.events.filters import EventFilter, EventNameFilter
from production import darker, seen_like
from project import DVC_YAML, ROOT

import flows.events
import flows.monitor
from flows.events import DRIFT, GONE, send_event
from flows.monitor import monitor
from unmask.config.profiles import use_profile
from unmask.monitoring.batches import BATCHES, write_batch
from unmask.monitoring.reference import Reference
from unmask.registry.champions import replace_champion
from unmask.registry.references import RELEASED_REFERENCE
from unmask.registry.versions import NAME
from unmask.store import connect

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    use_profile("cpu", ROOT / "conf", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path


def events(least: int, name: str = DRIFT) -> list[Event]:
    """The events of a name that the server holds, once there are so many."""
    wanted = EventFilter(event=EventNameFilter(name=[name]))
    deadline = time.monotonic() + 60
    with get_client(sync_client=True) as client:
        while True:
            found = client.read_events(wanted, limit=20).events
            if len(found) >= least or time.monotonic() > deadline:
                return found
            time.sleep(0.5)


def away(**options) -> None:
    raise httpx.ConnectError("no answer")


def test_drift_is_shown_and_told_of_once(root, monkeypatch):
    reference = Reference.load(RELEASED_REFERENCE)
    assert monitor() == "nothing new"
    write_batch(seen_like(reference, 0, 20, darker), root / BATCHES, "first")
    assert monitor() == "too few"
    write_batch(seen_like(reference, 1, 80, darker), root / BATCHES, "second")
    with monkeypatch.context() as patch:
        patch.setattr(flows.events, "get_client", away)
        patch.setattr(flows.monitor, "send_event", send_event.with_options(retries=0))
        with pytest.raises(httpx.ConnectError):
            monitor()
    assert monitor() == "drift"  # which the run before could not tell of
    assert monitor() == "nothing new"
    (event,) = events(1)
    assert event.resource.id == "unmask.model.unmask"
    assert event.payload["features"] == ["brightness"]
    changed = {f"train.{name}.photometric" for name in ("gender", "landmarks", "segmentation")}
    assert event.payload["changes"].keys() == {"seed", *changed}
    assert len(event.payload["drift"]) == 12
    write_batch(seen_like(reference, 2, 80, darker), root / BATCHES, "third")
    assert monitor() == "drift"

    def greener(row):
        return {**row, "colour_a": row["colour_a"] - 40.0}

    write_batch(seen_like(reference, 3, 80, greener), root / BATCHES, "fourth")
    assert monitor() == "drift"
    told = events(2)  # the second one proves that the third batch's, sent before it, never came
    assert sorted(event.payload["features"] for event in told) == [["brightness"], ["colour_a"]]
    with get_client(sync_client=True) as client:
        artifacts = client.read_artifacts()
    reports = [a for a in artifacts if a.key == "unmask-drift"]
    assert len(reports) == 4
    assert all("| feature | verdict |" in report.data for report in reports)
    pictures = [a for a in artifacts if a.key == "unmask-drift-densities"]
    assert len(pictures) == 4
    assert all(picture.data.startswith("data:image/png;base64,") for picture in pictures)


def test_a_champion_that_is_gone_is_told_of(root):
    client = connect(create=True)
    client.create_registered_model(NAME)
    client.create_model_version(NAME, "nowhere")
    assert monitor() == "nothing new"
    replace_champion(None, "1", "a test")
    client.delete_model_version(NAME, "1")
    assert monitor() == "champion gone"
    (event,) = events(1, GONE)
    assert event.payload["text"].startswith("the champion, version 1, is gone")
