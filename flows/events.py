"""Events of the model, which start retrainings and alerts (prefect.yaml, flows/alerts.py)."""

from uuid import NAMESPACE_URL, uuid5

from prefect import task
from prefect.client.orchestration import get_client
from prefect.events import Event, Resource

from flows.retries import RETRY_POLICY

DRIFT, REFUSED, GONE = (
    "unmask.drift.confirmed",
    "unmask.version.refused",
    "unmask.champion.gone",
)
RESOURCE = {"prefect.resource.id": "unmask.model.unmask"}


@task(**RETRY_POLICY)
def send_event(name: str, key: str, text: str, payload: dict) -> None:
    """Send an event; the same name and key give the same event id.

    It is posted directly: Prefect's `emit_event` queues it, and a failure would only be logged.

    Args:
        name: of the event.
        key: what tells it from others of that name.
        text: a sentence for people.
        payload: what else it carries.
    """
    event = Event(
        event=name,
        resource=Resource(RESOURCE),
        payload={"text": text, **payload},
        id=uuid5(NAMESPACE_URL, f"unmask/{name}/{key}"),
    )
    with get_client(sync_client=True) as client:
        client.request("POST", "/events", json=[event.model_dump(mode="json")])
