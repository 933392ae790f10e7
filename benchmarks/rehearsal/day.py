"""The project of a rehearsal, and what its steps ask of the loop."""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from project import ROOT
from ruamel.yaml import YAML
from team.loop import Loop
from team.services import until

from unmask.config.params import load_params
from unmask.config.profiles import use_profile
from unmask.datasets.cache import open_split
from unmask.datasets.png import encode_image
from unmask.evaluation.evaluation_set import box_of
from unmask.evaluation.native_resolution import at_native_resolution
from unmask.faces.dataset import make as make_faces
from unmask.faces.sources import Sampled
from unmask.masking.dataset import make as make_masked

_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_A_TRAINING = 900  # seconds that it may take on a busy machine
_UNSET = ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "UNMASK_PIPELINE_ID", "PYTHONPATH")


def seconds_between(earlier: str, later: str) -> float:
    """Of two times as Prefect's API writes them."""
    first, second = (datetime.fromisoformat(text) for text in (earlier, later))
    return (second - first).total_seconds()


class Day:
    """A clone of the project as it is committed, with profile rehearsal, and its running loop."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.loop: Loop | None = None
        # several processes compute at once: those that wait must not keep the cores busy
        self.environment = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
        subprocess.run(["git", "clone", "-q", ROOT, self.project], check=True)
        for key, value in (("user.name", "rehearsal"), ("user.email", "rehearsal@example.org")):
            self.git("config", key, value)
        use_profile("rehearsal", self.project / "conf", self.project / "params.yaml")
        self.git("commit", "-qam", "Use profile rehearsal")

    def git(self, *arguments: str) -> str:
        return self._output("git", *arguments)

    def run(self, *command: str) -> str:
        """Run a command as the loop's user does, and return what it prints."""
        return self._output(*command, **(self.loop.clients if self.loop else {}))

    def fails(self, *command: str) -> str:
        """What a command says that must fail."""
        done = self._done(*command, **self.loop.clients)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def _output(self, *command: str, **environment: str) -> str:
        done = self._done(*command, **environment)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-3000:]}{done.stderr}"
        return done.stdout.strip()

    def _done(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        inherited = {key: value for key, value in os.environ.items() if key not in _UNSET}
        return subprocess.run(
            command,
            cwd=self.project,
            env={**inherited, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def change_yaml(self, name: str, change: Callable[[dict], None]) -> None:
        """Edit one of the project's YAML files."""
        yaml, path = YAML(), self.project / name
        tree = yaml.load(path)
        change(tree)
        yaml.dump(tree, path)

    def hurry(self) -> None:
        """Look into the inbox and for drift twice a minute."""

        def change(tree: dict) -> None:
            named = {deployment["name"]: deployment for deployment in tree["deployments"]}
            for name in ("restore-inbox", "monitor"):
                named[name]["schedules"] = [{"interval": 30, "slug": "hurried"}]

        self.change_yaml("prefect.yaml", change)

    def schedule_retraining(self) -> None:
        """Move the weekly retraining to the next minute that is not too near."""
        at = datetime.now(UTC) + timedelta(seconds=70)
        found = self.loop.prefect.deployment("retrain")
        (weekly,) = found["schedules"]
        cron = {"cron": f"{at.minute} {at.hour} * * *", "timezone": "UTC"}
        path = f"deployments/{found['id']}"
        self.loop.prefect.ask(f"{path}/schedules/{weekly['id']}", "PATCH", schedule=cron)
        self.loop.prefect.ask(f"{path}/schedule")  # plan now; within a minute may be too late

    def drop_faces(self, name: str, count: int) -> None:
        """Put a folder of new annotated faces where retraining looks for them."""
        folder, rows = self.project / "data" / "drop" / name, []
        folder.mkdir(parents=True)
        for index in range(count):
            face = Sampled(77, index, 128).read()
            file = f"{index:03d}.png"
            cv2.imwrite(str(folder / file), face.image[..., ::-1])
            rows.append(
                {"file": file, "landmarks": face.landmarks.ravel().tolist(), "gender": face.gender}
            )
        pq.write_table(pa.Table.from_pylist(rows), folder / "annotations.parquet")

    def photos(self, count: int) -> list[np.ndarray]:
        """Photos of people that no training saw, drawn as the training's are; one in five bare."""
        folder = self.project.parent / "people"
        folder.mkdir()
        use_profile("rehearsal", self.project / "conf", folder / "params.yaml")
        params = load_params(folder / "params.yaml").model_copy(update={"seed": 4242})
        params = params.model_copy(
            update={"evaluate": params.evaluate.model_copy(update={"max_faces": count})}
        )
        make_faces(params, folder / "data")
        make_masked(params, folder / "data")
        shard = at_native_resolution(
            params, folder, open_split(folder / "data" / "masked", "train")
        )
        given = zip(shard.masked, shard.images, shard.valid, strict=True)
        return [
            (image if index % 5 == 0 else masked)[box_of(valid)]
            for index, (masked, image, valid) in enumerate(given)
        ]

    def post(self, photos: list[np.ndarray], name: str) -> None:
        """Put photos into the inbox."""
        new = self.project / "data" / "inbox" / "new"
        new.mkdir(parents=True, exist_ok=True)
        for index, photo in enumerate(photos):
            (new / f"{name}-{index:03d}.png").write_bytes(encode_image(photo))

    def restored(self, name: str, count: int) -> Counter[str]:
        """Wait until so many photos of that name are answered; returns their faces by status."""
        folder = self.project / "data" / "inbox" / "restored"
        answers = until(
            lambda: len(found := list(folder.glob(f"{name}-*.json"))) == count and found,
            f"{count} photos are restored",
            _A_TRAINING,
        )
        return Counter(
            face["status"] for path in answers for face in json.loads(path.read_text())["faces"]
        )

    def ledger(self) -> dict:
        """What the monitor keeps, empty before its first check."""
        path = self.project / ".unmask" / "monitor.json"
        return json.loads(path.read_text()) if path.is_file() else {"judged": {}, "announced": []}

    def versions(self) -> list[str]:
        """The lines of `unmask models list`, newest first."""
        return self.run("unmask", "models", "list").splitlines()

    def champion(self) -> str | None:
        """The champion's number."""
        return next((line.split()[0] for line in self.versions() if "champion" in line[6:28]), None)

    def gate_runs(self) -> tuple[list[str], str]:
        """The MLflow runs in which the gate judged a version, oldest first; their experiment."""
        url = f"{self.loop.mlflow}/api/2.0/mlflow"
        named = httpx.get(f"{url}/experiments/get-by-name", params={"experiment_name": "unmask"})
        experiment = named.json()["experiment"]["experiment_id"]
        wanted = {
            "experiment_ids": [experiment],
            "filter": "attributes.run_name = 'gate'",
            "order_by": ["attributes.start_time ASC"],
        }
        found = httpx.post(f"{url}/runs/search", json=wanted, timeout=60).json()["runs"]
        return [run["info"]["run_id"] for run in found], experiment

    def ran(self, deployment: str, **parameters: object) -> dict:
        """Run a deployment by hand; returns the run once it has ended."""
        started = self.loop.prefect.run(deployment, **parameters)
        return self.ended(deployment, lambda run: run["id"] == started)

    def ended(self, deployment: str, what: Callable[[dict], bool]) -> dict:
        """The first run of a deployment of which that holds, once it has ended."""

        def found() -> dict | None:
            runs = self.loop.prefect.runs(deployment)
            some = [run for run in runs if what(run) and run["state_type"] in _ENDED]
            return some[0] if some else None

        return until(found, f"a run of {deployment} ends", _A_TRAINING)

    def retraining_for(self, drift: str, state: str) -> dict:
        """The newest retraining that a drift started, once it is in a state."""

        def found() -> dict | None:
            runs = self.loop.prefect.runs("retrain")
            some = [run for run in runs if run["parameters"].get("drift") == drift]
            return some[-1] if some and some[-1]["state_type"] == state else None

        return until(found, f"the retraining for {drift} is {state}", _A_TRAINING)

    def state_of(self, run: str) -> str:
        """The type of a flow run's state."""
        return self.loop.prefect.ask(f"flow_runs/{run}", "GET")["state_type"]

    def kill(self, run: str) -> None:
        """Kill a flow run's processes and the worker that started it, as a lack of memory may."""
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                of_run = process.environ().get("PREFECT__FLOW_RUN_ID") == run
                mark = process.environ().get("UNMASK_UP", "")
                if of_run or mark.startswith(f"{self.project}:worker:"):
                    process.kill()

    def delete_version(self, number: str) -> None:
        """Delete a registered version as a person does who asks MLflow's REST interface."""
        url = f"{self.loop.mlflow}/api/2.0/mlflow/model-versions/delete"
        body = {"name": "unmask", "version": number}
        httpx.request("DELETE", url, json=body, timeout=60).raise_for_status()

    def drift_event(self) -> dict:
        """The event that tells of drift, once it is there."""

        def found() -> dict | None:
            wanted = {"event": {"name": ["unmask.drift.confirmed"]}}
            events = self.loop.prefect.ask("events/filter", filter=wanted)["events"]
            return events[0] if events else None

        return until(found, "drift is told of", _A_TRAINING)

    def served(self, version: str) -> None:
        """Wait until a version answers over HTTP."""

        def answers() -> bool:
            return httpx.get(f"{self.loop.serve}/version", timeout=60).json()["version"] == version

        until(answers, f"version {version} serves", 300)
