"""What a test asks of Prefect's REST API."""

import uuid

import httpx
from team.services import until


class PrefectApi:
    """Asked again while it is not reached or says 503, as Prefect's own client does: its server
    says so while SQLite's file is locked."""

    def __init__(self, url: str) -> None:
        self.url = url

    def is_healthy(self) -> bool:
        """Whether the server answers, asked once."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def ask(self, path: str, method: str = "POST", **body: object) -> list | dict | None:
        """The answer to a request, None if it has no content."""

        def answered() -> httpx.Response | None:
            try:
                answer = httpx.request(method, f"{self.url}/{path}", json=body, timeout=60)
            except httpx.TransportError:
                return None
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        answer = until(answered, f"Prefect answers {path}")
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployment(self, name: str) -> dict:
        """The deployment of that name."""
        (found,) = self.ask("deployments/filter", deployments={"name": {"any_": [name]}})
        return found

    def runs(self, deployment: str) -> list[dict]:
        """Flow runs of a deployment, the first to start first; those to come are the last."""
        named = {"name": {"any_": [deployment]}}
        return self.ask("flow_runs/filter", deployments=named, sort="START_TIME_ASC")

    def run(self, deployment: str, **parameters: object) -> str:
        """Have a deployment run, once however often it is asked; returns the run's id."""
        path = f"deployments/{self.deployment(deployment)['id']}/create_flow_run"
        key = str(uuid.uuid4())
        return self.ask(path, parameters=parameters, idempotency_key=key)["id"]
