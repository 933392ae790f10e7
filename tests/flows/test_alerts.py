"""Alerts by a real Prefect server, received by a webhook on loopback."""

from collections import Counter
from collections.abc import Iterator

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Failed
from team.services import until
from team.webhook import webhook

from flows.alerts import set_up
from flows.events import DRIFT, GONE, REFUSED, send_event
from unmask.errors import UnmaskError

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Counter]]:
    with webhook() as found:
        yield found


def fail(deployment: object, reason: str) -> None:
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment, name=f"run-{reason}")
        client.set_flow_run_state(run.id, Failed(message=f"it {reason}"), force=True)


def test_each_alert_comes_once(receiver):
    url, got = receiver
    for _ in range(2):  # as `make up` does at each start
        set_up(url)
    with get_client(sync_client=True) as client:
        flows = [client.create_flow_from_name(name) for name in ("retrain", "monitor")]
        first, second = (client.create_deployment(one, name="d") for one in flows)
    send_event(DRIFT, "d1", "drift in brightness is confirmed", {})
    send_event(REFUSED, "3-2", "version 3 was refused", {})
    for _ in range(3):  # as hourly
        send_event(GONE, "2", "the champion, version 2, is gone", {})
    for reason in ("broke", "broke again"):
        fail(first, reason)
    fail(second, "broke")
    send_event(DRIFT, "d2", "drift in colour is confirmed", {})  # after which nothing is to come
    until(lambda: got["unmask: drift in colour is confirmed"], "the last alert")
    until(lambda: len(got) >= 6, "all alerts")
    assert got == {
        "unmask: drift in brightness is confirmed": 1,
        "unmask: version 3 was refused": 1,
        "unmask: the champion, version 2, is gone": 1,
        "unmask: retrain, run run-broke, Failed: it broke": 1,
        "unmask: monitor, run run-broke, Failed: it broke": 1,
        "unmask: drift in colour is confirmed": 1,
    }


def test_alerts_are_taken_away_again(receiver):
    set_up(receiver[0])
    set_up(None)
    with get_client(sync_client=True) as client:
        assert client.read_automations() == []


def test_a_block_that_is_missing_gets_one_sentence():
    with pytest.raises(UnmaskError, match="'slack-webhook/team', and Prefect has no such block"):
        set_up("slack-webhook/team")
