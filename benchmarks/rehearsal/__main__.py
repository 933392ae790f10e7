"""`make rehearse`: a day of the production loop, every step asserted, and its report.

    PYTHONPATH=tests python -m benchmarks.rehearsal [-o docs]

Everything is real and happens in a temporary clone of what is committed: training, servers on free
ports of loopback, schedules, the browser. The report is OUT/rehearsal.md, its screenshots lie in
OUT/rehearsal.
"""

import argparse
import base64
import json
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil
from team.loop import running
from team.services import until
from team.webhook import webhook

from benchmarks.rehearsal import screens
from benchmarks.rehearsal.day import Day, seconds_between
from unmask.datasets.png import encode_image
from unmask.inference.pictures import decode_picture

_PHOTOS = 30  # of each of the day's two deliveries
_DARK = 0.45  # what the second one's light is multiplied by
_PAGE = """# A rehearsed day

`make rehearse` wrote this page: the whole loop in a temporary clone, on {cores} cores, in
{minutes:.0f} minutes, every step asserted. Networks are trained for six steps, so it shows that the
loop works and says nothing of how good its models are.

{table}

What Prefect's database holds at the end, runs by deployment and state: {states}. One had crashed
before Ctrl-C, which ends what it meets: the retraining that was killed.

What the webhook that `loop.alerts` names was told, each once:

{alerts}

The gate's runs for version 2, promoted, and version 4, refused, compared in MLflow (the
clean-up took that of version 3):

![Two gate runs compared in MLflow](rehearsal/mlflow.png)

The retraining that the drift event started:

![The flow run in Prefect](rehearsal/prefect.png)

The web page, 1280 and 390 pixels wide:

![The page on a desktop](rehearsal/page-1280.png)
![The page on a phone](rehearsal/page-390.png)
"""


class Diary:
    """What was done when, and what came of it."""

    def __init__(self) -> None:
        self.begun, self.rows = time.monotonic(), []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """A step; the sentences that it appends are told, and stand in the report."""
        at, told = time.monotonic(), []
        print(f"{at - self.begun:5.0f} s  {name}", flush=True)
        yield told
        took = time.monotonic() - at
        print(f"         {'; '.join(told)} ({took:.0f} s)", flush=True)
        row = f"{at - self.begun:.0f} | {name} | {'; '.join(told)} | {took:.0f}"
        self.rows.append(f"| {row} |")

    def as_markdown(self) -> str:
        """A table of the steps."""
        head = ["| at, s | step | what came of it | took, s |", "|---:|---|---|---:|"]
        return "\n".join([*head, *self.rows])


def scheduled(day: Day, diary: Diary) -> None:
    """New faces wait in the drop folder, and the user committed that training starts better."""
    with diary.step("The schedule starts a retraining, since there are new faces") as told:
        day.schedule_retraining()
        run = day.ended("retrain", lambda run: run["auto_scheduled"])
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        late = seconds_between(run["expected_start_time"], run["start_time"])
        told.append(
            f"started {max(late, 0):.0f} s after its time and took {run['total_run_time']:.0f} s"
        )
        assert day.champion() == "2", day.versions()
        assert "model-v2" in day.git("tag", "--list")
        assert "retrain/" in day.git("branch", "--list", "retrain/*")
        told.append("the gate promoted version 2")
        day.served("2")
    with diary.step("A retraining by hand, with nothing new") as told:
        run = day.ran("retrain")
        assert run["state"]["message"].startswith("nothing changed"), run["state"]
        assert len(day.versions()) == 2
        told.append(run["state"]["message"])


def worse(day: Day, diary: Diary, started: str) -> None:
    with diary.step(
        "The retraining that was started before them, with a learning rate three thousand times "
        "too high"
    ) as told:
        run = day.ended("retrain", lambda run: run["id"] == started)
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        assert day.champion() == "2", day.versions()
        newest = day.versions()[0]
        assert newest.split()[0] == "3"
        assert "refused: perceptual distance better by -" in newest
        reasons = newest.partition("refused: ")[2].split("; ")
        told.append(f"version 3 was refused for {len(reasons)} reasons, the first: {reasons[0]}")


def morning(day: Day, diary: Diary, photos: list[np.ndarray]) -> None:
    with diary.step(f"{len(photos)} photos come into the inbox") as told:
        faces = day.restored("morning", len(photos))
        told.append(", ".join(f"{count} {status}" for status, count in sorted(faces.items())))
        until(lambda: day.ledger()["judged"], "the monitor looks at them", 400)
        assert day.ledger()["announced"] == []
        told.append("the monitor finds no drift")


def served(day: Day, diary: Diary, photo: np.ndarray, folder: Path) -> None:
    with diary.step("A photo by the command line and over HTTP") as told:
        file = folder / "photo.png"
        file.write_bytes(encode_image(photo))
        day.run("unmask", "restore", str(file), "-o", str(folder / "out"), "--crop")
        picture = base64.b64encode(file.read_bytes()).decode()
        body = {"dataframe_records": [{"image": picture}], "params": {"crop": True}}
        answer = httpx.post(f"{day.loop.serve}/invocations", json=body, timeout=120)
        (row,) = answer.json()["predictions"]
        document = folder / "out" / "photo.restored.json"
        assert row["faces"] == json.loads(document.read_text())["faces"]
        ours = decode_picture(document.with_suffix(".png").read_bytes(), "photo")
        theirs = decode_picture(base64.b64decode(row["image"]), "the answer")
        np.testing.assert_array_equal(theirs, ours)
        told.append("the same pixels and the same JSON")


def drift(day: Day, diary: Diary) -> str:
    """Returns the id of the flow run that it started."""
    with diary.step(
        f"{_PHOTOS} darker photos came into the inbox meanwhile; the worker and the retraining "
        "that they start are killed"
    ) as told:
        day.restored("evening", _PHOTOS)
        event = day.drift_event()
        told.append(f"the monitor finds drift in {', '.join(event['payload']['features'])}")
        drifted = event["payload"]["drift"]
        killed = day.retraining_for(drifted, "RUNNING")
        died = time.monotonic()
        day.kill(killed["id"])
        crashed = until(lambda: day.state_of(killed["id"]) == "CRASHED", "it is found", 200)
        assert crashed
        again = day.retraining_for(drifted, "RUNNING")
        told.append(f"it is found dead and started again {time.monotonic() - died:.0f} s later")
        run = day.ended("retrain", lambda run: run["id"] == again["id"])
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        newest = day.versions()[0]
        assert newest.split()[0] == "4"
        verdict = "refused" if "refused: " in newest else "promoted"
        told.append(f"which makes version 4, {verdict} by the gate")
    return run["id"]


def rollback(day: Day, diary: Diary) -> None:
    with diary.step("Roll back") as told:
        before = day.champion()
        day.served(before)
        begun = time.monotonic()
        day.run("unmask", "models", "rollback", "--why", "rehearsed")
        after = day.champion()
        assert after != before
        day.served(after)
        took = time.monotonic() - begun
        assert took <= 60
        told.append(f"version {after} answers over HTTP {took:.0f} s after the command began")
        last = day.run("unmask", "models", "history").splitlines()[-1]
        assert last.endswith(": rehearsed")
        told.append(f"recorded as `{last}`")


def champion_gone(day: Day, diary: Diary, photo: Path) -> None:
    with diary.step("The champion is deleted by REST") as told:
        gone = day.champion()
        day.delete_version(gone)
        version = f"{day.loop.serve}/version"
        trouble = until(lambda: httpx.get(version).json()["trouble"], "the server sees it", 60)
        told.append(f"/version says: {trouble}")
        for command in (["restore", str(photo), "-o", "gone"], ["models", "promote", "4"]):
            assert "unmask models rollback" in day.fails("unmask", *command)
        assert day.ran("monitor")["state_type"] == "COMPLETED"
        assert httpx.get(version).json()["version"] == gone
        told.append("the server goes on with its copy; restore and promote refuse")
        begun = time.monotonic()
        day.run("unmask", "models", "rollback", "--to", "2", "--why", "it was deleted")
        day.served(day.champion())
        took = time.monotonic() - begun
        assert took <= 60
        told.append(f"a rollback heals it in {took:.0f} s")


def clean_up(day: Day, diary: Diary) -> None:
    with diary.step("The clean-up, which keeps the champion and the one before") as told:
        before = len(day.versions())
        assert day.ran("clean-up")["state_type"] == "COMPLETED"
        kept = [line.split()[0] for line in day.versions()]
        assert day.champion() in kept
        assert len(kept) < before
        told.append(f"of {before} versions {', '.join(kept)} are left")


def flow_runs(day: Day) -> Counter[tuple[str, str]]:
    """How many runs Prefect's database holds, by deployment and state, without those to come."""
    database = day.project / ".unmask" / "prefect" / "prefect.db"
    query = (
        "select d.name, r.state_name from flow_run r join deployment d on r.deployment_id = d.id "
        "where r.state_type != 'SCHEDULED'"
    )
    with sqlite3.connect(database) as store:
        return Counter(store.execute(query).fetchall())


def down(day: Day, diary: Diary) -> Counter[tuple[str, str]]:
    """Returns the flow runs in Prefect's database, by deployment and state."""
    lost = {key: n for key, n in flow_runs(day).items() if key[1] in ("Failed", "Crashed")}
    assert lost == {("retrain", "Crashed"): 1}
    with diary.step("Ctrl-C") as told:
        children = day.loop.children()
        assert day.loop.interrupt(signal.SIGINT) == 0
        assert [p for p in children if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
        told.append(f"all {len(children)} processes have ended")
    found = flow_runs(day)
    assert found["retrain", "Completed"] >= 4
    assert not any(state in ("Failed", "Running") for _, state in found)
    return found


def rehearse(folder: Path, out: Path, stack: ExitStack) -> None:
    """The day, in a project below `folder`; the report goes to `out`."""
    diary, day = Diary(), Day(folder)
    pictures = out / "rehearsal"
    pictures.mkdir(parents=True, exist_ok=True)
    photos = day.photos(2 * _PHOTOS)
    with diary.step("Train the first champion, from scratch") as told:
        day.run("python", "-m", "flows.train")
        assert day.champion() == "1"
        told.append("version 1 is the champion")
    address, alerts = stack.enter_context(webhook())

    def change(tree: dict) -> None:
        tree["train"]["init"] = "release"
        tree["loop"]["alerts"] = address

    day.change_yaml("params.yaml", change)
    day.hurry()
    day.git("commit", "-qam", "Start trainings from the released weights, and alert")
    day.drop_faces("new", 30)
    with diary.step("`make up`") as told:
        day.loop = stack.enter_context(running(day.project, **day.environment))
        tree = day.git("status", "--porcelain"), day.git("rev-parse", "HEAD")
        told.append("MLflow, Prefect, two workers, six deployments and the page answer")
    scheduled(day, diary)
    started = day.loop.prefect.run("retrain", changes={"train.inpainting.learning_rate": 0.03})
    day.post(photos[:_PHOTOS], "morning")
    morning(day, diary, photos[:_PHOTOS])
    served(day, diary, photos[1], folder)
    with diary.step("A photo on the web page, in Chromium") as told:
        photo = folder / "photo.png"
        names = [pictures / f"page-{width}.png" for width in (1280, 390)]
        told.append(screens.of_page(day.loop.serve, photo, *names))
    day.post([(one * _DARK).astype(np.uint8) for one in photos[_PHOTOS:]], "evening")
    worse(day, diary, started)
    run = drift(day, diary)
    rollback(day, diary)
    champion_gone(day, diary, folder / "photo.png")
    clean_up(day, diary)
    assert (day.git("status", "--porcelain"), day.git("rev-parse", "HEAD")) == tree
    gates, experiment = day.gate_runs()
    screens.of_comparison(day.loop.mlflow, experiment, gates[1:3], pictures / "mlflow.png")
    screens.of_flow_run(day.loop.prefect.url.removesuffix("/api"), run, pictures / "prefect.png")
    states = down(day, diary)
    assert set(alerts.values()) == {1}, alerts
    assert len(alerts) >= 4, alerts  # refused, drift, crashed, gone
    minutes = (time.monotonic() - diary.begun) / 60
    page = _PAGE.format(
        cores=psutil.cpu_count(),
        minutes=minutes,
        table=diary.as_markdown(),
        alerts="\n".join(f"- {text}" for text in alerts),
        states=", ".join(
            f"{count} {name} {state}" for (name, state), count in sorted(states.items())
        ),
    )
    (out / "rehearsal.md").write_text(page)
    print(f"rehearsed in {minutes:.1f} minutes: {out / 'rehearsal.md'}")


def main() -> None:
    """Rehearse in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out.resolve()
    if screens.CHROMIUM is None:
        sys.exit("error: no chromium is installed: run `apt-get install chromium`.")
    with TemporaryDirectory(prefix="rehearsal-") as folder, ExitStack() as stack:
        rehearse(Path(folder), out, stack)


if __name__ == "__main__":
    main()
