"""`unmask serve` with the released weights under load, and a promotion in the middle.

    python benchmarks/serve_load.py [--restorations 1000] [--maskless 3000] [--bad 6000]
        [--clients 8]

Makes a project of its own in a temporary folder. Every answer must be the intended one: 200 with
the faces that the chain gives in this process, or the 4xx that its mistake deserves. Prints how
long answers took, how many came a second, and the memory of the front and of each worker over
its life.
"""

import argparse
import base64
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import psutil

from unmask.config.params import NETWORKS
from unmask.config.profiles import use_profile
from unmask.inference.chain import Chain
from unmask.inference.pictures import decode_picture, encode_picture
from unmask.masking.samples import write_samples
from unmask.models.stored import load_network, save_network
from unmask.networks import METADATA, PARAMS, RELEASED
from unmask.registry.champions import replace_champion
from unmask.registry.versions import CHAMPION, register, version_of

_CONF = Path(__file__).parents[1] / "conf"
_SIDE, _PICTURES = 192, 32
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Case:
    """A request and the answer that is right: its status and, if it is 200, its faces."""

    kind: str
    body: bytes
    status: int = 200
    faces: list[dict] | None = None
    headers: tuple[tuple[str, str], ...] = tuple(_JSON.items())


def _of(picture: str, **params) -> bytes:
    return json.dumps({"dataframe_records": [{"image": picture}], "params": params}).encode()


def _asked(chain: Chain, kind: str, *, masked: bool) -> list[Case]:
    """Pictures to restore, with the faces that the chain gives."""
    with tempfile.TemporaryDirectory() as name:
        write_samples(Path(name), _PICTURES, _SIDE, 7, masked=masked)
        files = [file.read_bytes() for file in sorted(Path(name).iterdir())]
    return [
        Case(
            kind,
            _of(base64.b64encode(raw).decode(), crop=True),
            faces=[f.as_json() for f in chain.restore(decode_picture(raw, "a face")).faces],
        )
        for raw in files
    ]


def _mistakes(picture: str) -> list[Case]:
    small = base64.b64encode(encode_picture(np.zeros((8, 8, 3), np.uint8))).decode()
    cut = base64.b64encode(base64.b64decode(picture)[:2000]).decode()
    return [
        Case("not JSON", b"{", 400),
        Case("no column", b'{"dataframe_records": [{"picture": ""}]}', 400),
        Case("no base64", _of("no base64!"), 400),
        Case("no image", _of("aGVsbG8="), 400),
        Case("cut image", _of(cut), 400),
        Case("too small", _of(small), 400),
        Case("unknown param", _of(picture, colour=1), 400),
        Case("wrong param", _of(picture, gender="x"), 400),
        Case("too many", json.dumps({"inputs": [picture] * 17}).encode(), 400),
        Case("too large", b" " * 33_000_000, 413),
        Case("no content type", _of(picture), 415, headers=()),
    ]


def _cases(restorations: int, maskless: int, bad: int) -> list[Case]:
    chain = Chain.load(RELEASED)
    masked = _asked(chain, "restoration", masked=True)
    bare = _asked(chain, "maskless", masked=False)
    mistakes = _mistakes(json.loads(masked[0].body)["dataframe_records"][0]["image"])
    cases = [
        kinds[i % len(kinds)]
        for kinds, count in ((masked, restorations), (bare, maskless), (mistakes, bad))
        for i in range(count)
    ]
    random.Random(0).shuffle(cases)
    return cases


def _second_version(folder: Path) -> str:
    """Register the released weights as float32: the same model, another version."""
    for name in NETWORKS:
        section = json.loads((RELEASED / name / PARAMS).read_text())
        metadata = json.loads((RELEASED / name / METADATA).read_text())
        del section["name"], metadata["weights_md5"]
        network = load_network(RELEASED / name)
        save_network(network, name, section, metadata, folder / "models" / name)
    return str(register(folder / "models", lambda: "The released weights as float32."))


class Memory:
    """Resident MB of the front and of every process it started, twice a second."""

    def __init__(self, front: int) -> None:
        self._front, self._stop = psutil.Process(front), Event()
        self.seen: dict[str, list[float]] = {}
        self._thread = Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            for process in (self._front, *self._front.children(recursive=True)):
                try:
                    command, size = " ".join(process.cmdline()), process.memory_info().rss / 1e6
                except psutil.NoSuchProcess:
                    continue
                server = f"worker {process.pid}" if "anyio.to_process" in command else None
                name = "front" if process == self._front else server
                if name:
                    self.seen.setdefault(name, []).append(size)

    def end(self) -> None:
        """Print each process's second and last fifth."""
        self._stop.set()
        self._thread.join()
        for name, sizes in self.seen.items():
            if len(sizes) >= 20:
                fifth = len(sizes) // 5
                early, late = np.mean(sizes[fifth : 2 * fifth]), np.mean(sizes[-fifth:])
                print(
                    f"{name}: {early:.0f} MB in the second fifth, {late:.0f} MB in the last "
                    f"({late - early:+.0f}), at most {max(sizes):.0f}"
                )


def _ask(client: httpx.Client, case: Case) -> tuple[str, float, str]:
    """Its kind, the seconds it took, and what is wrong with the answer, if anything."""
    start = time.perf_counter()
    try:
        answer = client.post("/invocations", content=case.body, headers=dict(case.headers))
    except httpx.TransportError as error:
        return case.kind, time.perf_counter() - start, repr(error)
    seconds = time.perf_counter() - start
    if answer.status_code != case.status:
        return case.kind, seconds, f"{answer.status_code} {answer.text[:100]}"
    document = answer.json()
    if case.faces is None:
        right = set(document) == {"error_code", "message"}
    else:
        right = [row["faces"] for row in document["predictions"]] == [case.faces]
    return case.kind, seconds, "" if right else f"another answer: {answer.text[:200]}"


def _load(address: str, cases: list[Case], clients: int, promote: Event) -> list:
    with httpx.Client(base_url=address, timeout=300, trust_env=False) as client:
        client.get("/version")

        def ask(pair: tuple[int, Case]) -> tuple[str, float, str]:
            if pair[0] == len(cases) // 2:
                promote.set()
            return _ask(client, pair[1])

        with ThreadPoolExecutor(clients) as pool:
            return list(pool.map(ask, enumerate(cases)))


def _report(answers: list[tuple[str, float, str]], minutes: float) -> int:
    """Print what came of the load; returns how many answers were not the intended ones."""
    groups = {"restoration": [], "maskless": [], "bad": []}
    for kind, seconds, _ in answers:
        groups.get(kind, groups["bad"]).append(seconds)
    for name, taken in groups.items():
        if taken:
            middle, late = np.percentile(taken, [50, 95])
            print(f"{name}: {len(taken)}, median {middle:.2f} s, p95 {late:.2f} s")
    print(
        f"all: {len(answers)} in {minutes:.1f} minutes, {len(answers) / minutes / 60:.1f} a second"
    )
    wrong = Counter(f"{kind}: {problem}" for kind, _, problem in answers if problem)
    print(f"answers that are not the intended ones: {sum(wrong.values())}", *wrong.items())
    return sum(wrong.values())


def _until(client: httpx.Client, version: str) -> None:
    while client.get("/version").json()["version"] != version:
        time.sleep(0.2)


def main() -> None:
    """Serve, ask, promote in the middle, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, count in (("restorations", 1000), ("maskless", 3000), ("bad", 6000), ("clients", 8)):
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    cases = _cases(asked.restorations, asked.maskless, asked.bad)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(Path(__file__).parents[1] / "dvc.yaml", folder)
        use_profile("cpu", _CONF, folder / "params.yaml")
        os.chdir(folder)
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        server = subprocess.Popen(
            ["unmask", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        try:
            address = server.stdout.readline().partition(" is open")[0]
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                _until(client, "1")
                second, memory, promote = _second_version(folder), Memory(server.pid), Event()
                start = time.perf_counter()
                with ThreadPoolExecutor(1) as pool:
                    load = pool.submit(_load, address, cases, asked.clients, promote)
                    promote.wait()
                    replace_champion(version_of(CHAMPION), second, "load")
                    promoted = time.perf_counter()
                    _until(client, second)
                    print(
                        f"version {second} took over {time.perf_counter() - promoted:.0f} s later"
                    )
                    answers = load.result()
                minutes = (time.perf_counter() - start) / 60
                memory.end()
            wrong = _report(answers, minutes)
        finally:
            server.terminate()
            server.wait()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
