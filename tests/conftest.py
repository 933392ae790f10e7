"""What tests share: seeds, params and a small data set."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from filelock import FileLock
from hypothesis import settings
from project import ROOT, copy_project, succeed

from unmask.config.params import FABRICS, MASK_TYPES, WEARS, Params, load_params
from unmask.config.profiles import use_profile
from unmask.datasets.cache import Split
from unmask.faces import dataset as faces_stage
from unmask.faces.records import Face
from unmask.faces.sources import Sampled
from unmask.masking import dataset as masked_stage
from unmask.masking import put_on
from unmask.models import build
from unmask.models.stored import save_network

torch.set_num_threads(1)
# the commands under test are this interpreter's, however pytest was called
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
settings.register_profile("seeded", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("seeded")


SLOW = ("train", "server", "browser")  # what makes a test slow


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what needs something slow; it goes last, and of each tier the longest first."""
    for item in items:
        if any(item.get_closest_marker(name) for name in SLOW):
            item.add_marker("slow")
    items.sort(
        key=lambda item: (
            item.get_closest_marker("slow") is not None,
            item.get_closest_marker("e2e") is None,
            item.get_closest_marker("train") is None,
        )
    )


@pytest.fixture(scope="module", autouse=True)
def no_store_left() -> Iterator[None]:
    """MLflow keeps the store that a test opened in the environment, for all processes after it."""
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Params:
    """The params of profile smoke."""
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    use_profile("smoke", ROOT / "conf", path)
    return load_params(path)


@pytest.fixture(scope="session")
def masked(smoke: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masked faces of profile smoke, as stage `masked` writes them."""
    folder = tmp_path_factory.mktemp("data")
    faces_stage.make(smoke, folder)
    masked_stage.make(smoke, folder)
    return folder / "masked"


@pytest.fixture(scope="session")
def split() -> Split:
    """Three sampled faces with two masks each, in memory; the third unlabelled and blurred."""
    size = 64
    images, points, masked, masks, occluded, labels = [], [], [], [], [], []
    for index, gender in enumerate(("male", "female", None)):
        face: Face = Sampled(2, index, size).read()
        worn = [
            put_on(
                face.image,
                face.landmarks,
                np.random.default_rng([index, variant]),
                types={name: float(name not in ("window", "shield")) for name in MASK_TYPES},
                fabrics=dict.fromkeys(FABRICS, 1.0),
                wear=dict.fromkeys(WEARS, 1.0),
            )
            for variant in range(2)
        ]
        images.append(face.image)
        points.append(face.landmarks)
        masked.append([w.image for w in worn])
        masks.append([w.mask for w in worn])
        occluded.append([w.occluder for w in worn])
        labels.append({"gender": gender, "scale": 1.0 if index < 2 else 0.5, "weight": 1.0})
    return Split(
        image=np.stack(images),
        valid=np.ones((3, size, size), bool),
        landmarks=np.stack(points),
        masked=np.array(masked),
        mask=np.array(masks),
        occluded=np.array(occluded),
        labels=labels,
        digest="none",
    )


@pytest.fixture(scope="session")
def models(smoke: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained landmark network of profile smoke, which guides inpainting."""
    folder, section = tmp_path_factory.mktemp("models"), smoke.train.landmarks
    torch.manual_seed(0)
    network = build("landmarks", section, pretrained=False)
    stored = section.model_dump(mode="json")
    save_network(network, "landmarks", stored, {}, folder / "landmarks")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project at smoke size whose train flow has run once; one module at a time has it.

    What it printed is in flow.log, the runs that it left in first.db. Whoever changes params, the
    champion or dvc.yaml puts them back.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "trained"
    with FileLock(shared / "trained.lock"):
        if not (folder / "flow.log").is_file():
            copy_project(folder)
            output = succeed(folder, "python", "-m", "flows.train")
            shutil.copy(folder / "mlflow.db", folder / "first.db")
            (folder / "flow.log").write_text(output)
            for command in (["git", "add", "-A"], ["git", "commit", "-qm", "trained"]):
                subprocess.run(command, cwd=folder, check=True)
        yield folder


@pytest.fixture
def face_folder(tmp_path) -> Callable[..., Path]:
    """Makes an annotated folder of sampled faces; a row may be changed before it is written."""

    def make(
        count: int,
        name: str = "mine",
        size: int = 80,
        file: Callable[[int], str] = "{:03d}.png".format,
        change: Callable[[int, dict], None] = lambda index, row: None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rows = []
        for index in range(count):
            face = Sampled(5, index, size).read()
            path = folder / file(index)
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), cv2.cvtColor(face.image, cv2.COLOR_RGB2BGR))
            row = {
                "file": file(index),
                "landmarks": face.landmarks.ravel().tolist(),
                "gender": face.gender,
                "age": face.age,
                "ethnicity": face.ethnicity,
            }
            change(index, row)
            rows.append(row)
        pq.write_table(pa.Table.from_pylist(rows), folder / "annotations.parquet")
        return folder

    return make
