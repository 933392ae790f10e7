from pathlib import Path

import pytest

from flows.services import NAMES, ServiceError, pools, port_of, services, settings

VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "PREFECT_API_URL",
    "MLFLOW_BACKEND_STORE_URI",
    "MLFLOW_ARTIFACTS_DESTINATION",
    "MLFLOW_PORT",
    "PREFECT_SERVER_API_PORT",
    "PREFECT_WORKER_WEBSERVER_PORT",
    "UNMASK_PORT",
    "PREFECT_HOME",
)


@pytest.fixture(autouse=True)
def _default_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prefect.yaml").write_text(
        "deployments:\n"
        "  - {name: a, work_pool: {name: gpu}}\n"
        "  - {name: b, work_pool: {name: unmask}}\n"
    )
    return tmp_path


def environment_of(project: Path) -> dict[str, str]:
    return dict(services(project)[0][0].environment)


def test_each_service_has_its_own_port_and_each_pool_its_worker(project):
    started = [service for wave in services(project) for service in wave]
    assert [s.name for s in started] == ["mlflow", "prefect", "worker", "worker-gpu", "serve"]
    assert [s.port for s in started] == [5000, 4200, 4210, 4211, 8000]


def test_a_machine_s_devices_serve_one_run_at_a_time(project):
    commands = {service.name: service.command for service in services(project)[1]}
    assert commands["worker-gpu"][-3:-1] == ("--limit", "1")
    assert "--limit" not in commands["worker"]


def test_services_can_be_left_out(project):
    (project / "prefect.yaml").unlink()
    servers, clients = services(project, ("mlflow", "serve"))
    assert [s.name for s in servers + clients] == ["mlflow", "serve"]


def test_children_are_told_the_addresses(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_PORT", "5001")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    given = settings(project, NAMES)
    assert given["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5001"
    assert given["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert given["PREFECT_HOME"] == str(project / ".unmask" / "prefect")


def test_a_worker_alone_uses_the_team_s_servers(project, monkeypatch):
    with pytest.raises(ServiceError, match="set MLFLOW_TRACKING_URI"):
        settings(project, ("worker",))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    with pytest.raises(ServiceError, match="set PREFECT_API_URL"):
        settings(project, ("worker",))
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere:4200/api")
    given = settings(project, ("worker",))
    assert given["MLFLOW_TRACKING_URI"] == "http://elsewhere:5000"
    assert given["PREFECT_API_URL"] == "http://elsewhere:4200/api"


def test_the_project_s_own_store_is_laid_out_as_without_a_server(project):
    given = environment_of(project)
    assert given["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{project / 'mlflow.db'}"
    assert given["MLFLOW_DEFAULT_ARTIFACT_ROOT"] == f"file://{project / 'mlartifacts'}"


def test_another_store_gets_artifacts_through_the_server(project, monkeypatch):
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "postgresql://db/mlflow")
    given = environment_of(project)
    assert given["MLFLOW_ARTIFACTS_DESTINATION"] == f"file://{project / 'mlartifacts'}"
    monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", "s3://bucket")
    given = environment_of(project)
    assert given["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://bucket"
    assert "MLFLOW_DEFAULT_ARTIFACT_ROOT" not in given


@pytest.mark.parametrize("port", ["0", "65536", "http", ""])
def test_what_is_no_port_gets_one_sentence(monkeypatch, port):
    monkeypatch.setenv("UNMASK_PORT", port)
    with pytest.raises(ServiceError, match=f"UNMASK_PORT is '{port}': set it to a port"):
        port_of("serve")


@pytest.mark.parametrize("text", [None, "", "deployments: []", "deployments: [{name: a}]", "a: ["])
def test_prefect_yaml_without_deployments_gets_one_sentence(project, text):
    path = project / "prefect.yaml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ServiceError, match=r"prefect\.yaml gives no deployments"):
        pools(project)


def test_prefect_keeps_what_the_user_says(project, monkeypatch):
    def kept() -> tuple[str, str]:
        names = (
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
        )
        environment = services(project, ("prefect",))[0][0].environment
        return tuple(environment[name] for name in names)

    assert kept() == ("PT6H", "events,flow_runs")
    monkeypatch.setenv("PREFECT_SERVER_EVENTS_RETENTION_PERIOD", "P1D")
    assert kept() == ("P1D", "events,flow_runs")
