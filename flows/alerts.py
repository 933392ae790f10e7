"""Alerts to people: Prefect automations that post to what `loop.alerts` in params.yaml names.

`make up` makes them, in place of those it made before.
"""

from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import ResourceSpecification
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectNotFound

from flows.events import DRIFT, GONE, REFUSED, RESOURCE
from unmask.config.params import load_params
from unmask.errors import UnmaskError, exit_with_message
from unmask.project import project_root

_PREFIX = "unmask-alert-"  # of the names of what is made here
_AGAIN = timedelta(hours=6)  # until the same deployment's failure, or the champion's, is told again
_MODEL = ResourceSpecification(dict(RESOURCE))
_FAILED = (
    "{{ flow.name }}, run {{ flow_run.name }}, {{ flow_run.state.name }}: "
    "{{ flow_run.state.message }}"
)
_TEXT = "{{ event.payload.text }}"


def _trigger(within: timedelta = timedelta(), **what: Any) -> EventTrigger:
    return EventTrigger(posture=Posture.Reactive, threshold=1, within=within, **what)


#: A trigger and the alert's text by what is told.
_ALERTS = {
    "model": (_trigger(match=_MODEL, expect={DRIFT, REFUSED}), _TEXT),
    "champion": (_trigger(_AGAIN, match=_MODEL, expect={GONE}), _TEXT),
    "failure": (
        _trigger(
            _AGAIN,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "deployment"},
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            for_each={"related:deployment:prefect.resource.id"},
        ),
        _FAILED,
    ),
}


def _block(client: SyncPrefectClient, target: str) -> UUID:
    """Id of the block that sends: one that posts to an address, or a person's own."""
    if "://" in target:
        block = CustomWebhookNotificationBlock(
            name="unmask",
            url=target,
            json_data={"text": "{{subject}}: {{body}}"},
            headers=None,
            cookies=None,
        )
        return cast(UUID, block.save(f"{_PREFIX}webhook", overwrite=True))
    kind, _, name = target.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        raise UnmaskError(
            f"loop.alerts is {target!r}, and Prefect has no such block: make it in its UI under "
            "Blocks, or write the URL of a webhook."
        ) from error


def set_up(target: str | None) -> None:
    """Make the automations, or take them away.

    Args:
        target: the URL to post to, or a block's `TYPE/NAME`; None for no alerts.

    Raises:
        UnmaskError: when there is no such block.
    """
    with get_client(sync_client=True) as client:
        for earlier in client.read_automations():
            if earlier.name.startswith(_PREFIX):
                client.delete_automation(earlier.id)
        if target is None:
            return
        block = _block(client, target)
    for name, (trigger, body) in _ALERTS.items():
        send = SendNotification(block_document_id=block, subject="unmask", body=body)
        Automation(name=f"{_PREFIX}{name}", trigger=trigger, actions=[send]).create()


@exit_with_message
def main() -> None:
    """The command `python -m flows.alerts`."""
    set_up(load_params(project_root() / "params.yaml").loop.alerts)


if __name__ == "__main__":
    main()
