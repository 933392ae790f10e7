"""The gate on real models: trained for real, kept in a real MLflow store, judged on the gate split.

The champion is a small inpainting network trained for a few steps beside the released gender,
landmark and segmentation networks.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from champion import make_champion
from mlflow import MlflowClient
from project import DVC_YAML, ROOT
from torch.nn.functional import interpolate

from unmask.augmentation.holes import plain_inpainting_view
from unmask.config.params import NETWORKS, Params, load_params
from unmask.config.profiles import use_profile
from unmask.config.restore import RESTORE
from unmask.datasets.cache import open_split
from unmask.datasets.shards import FACE_SCHEMA
from unmask.datasets.splits import split_of
from unmask.datasets.writing import write_rows
from unmask.errors import UnmaskError
from unmask.faces.dataset import row_of
from unmask.faces.records import framed
from unmask.faces.synthetic import Sampled
from unmask.geometry.frame import move_points, resizing
from unmask.masking import dataset as masked_stage
from unmask.models import build
from unmask.models.stored import load_network, save_network
from unmask.networks import PARAMS, RELEASED
from unmask.registry import latency
from unmask.registry.champions import roll_back
from unmask.registry.promotion import Promotion, promote
from unmask.registry.release import import_release
from unmask.registry.versions import (
    CHAMPION,
    NAME,
    RegistryError,
    networks_of,
    register,
    version_of,
)
from unmask.store import connect
from unmask.training.batches import collate
from unmask.training.train import train_network

pytestmark = pytest.mark.train

FACES = {"train": 240, "val": 12, "gate": 32}
SMALL = {
    "channels": (16, 24, 32, 48),
    "batch_size": 8,
    "learning_rate": 0.003,
    "perceptual": 0.0,
    "style": 0.0,
    "ema": 0.95,
    "precision": "32-true",
}


@dataclass(frozen=True)
class Project:
    """A folder with data and a store, in which version 1 is the champion."""

    params: Params
    masked: Path
    client: MlflowClient

    def judge(self, version: str | None = None) -> Promotion:
        return promote(self.params, self.masked, version, after_rollback=version is not None)

    def judge_on(self, faces: int, version: str, **gate) -> Promotion:
        """Judge on fewer faces than there are."""
        changed = {
            "evaluate": self.params.evaluate.model_copy(update={"max_faces": faces}),
            "gate": self.params.gate.model_copy(update=gate),
        }
        params = self.params.model_copy(update=changed)
        return promote(params, self.masked, version, after_rollback=True)


def params_of(path: Path) -> Params:
    """Profile cpu's, for few faces; a small champion need not reach its floors or be as slow."""
    use_profile("cpu", ROOT / "conf", path)
    params = load_params(path)
    floors = params.gate.floors.model_copy(
        update={
            "hole_psnr_over_mean_face": -5.0,
            "hole_psnr_over_telea": -5.0,
            "sharpness": (0.0, 1000.0),
        }
    )
    gate = params.gate.model_copy(
        update={
            "minimum_faces": 24,
            "minimum_slice": 10,
            "latency_ratio": 5.0,
            "floors": floors,
            "first_champion": "none",
            "common_faces": 0,
        }
    )
    return params.model_copy(update={"gate": gate})


def write_faces(params: Params, data: Path) -> None:
    """Write synthetic faces as stage `faces` does, but few of each split."""
    rows, missing = [], dict(FACES)
    for index in itertools.count():
        item = Sampled(params.seed, index, params.image_size)
        split = split_of(item.id)
        if missing.get(split):
            missing[split] -= 1
            rows.append(row_of(framed(item.read(), params.image_size)))
        if not any(missing.values()):
            break
    write_rows(
        rows, len(rows), data / "faces", FACE_SCHEMA, params.faces.shard_rows, UnmaskError("none")
    )


def trained(params: Params, masked: Path, models: Path, steps: int) -> str:
    """Train an inpainting network beside the released others; the version it is registered as."""
    steps = {"steps": steps, "epoch_steps": steps, "adversarial_from": steps - 1}
    section = params.train.inpainting.model_copy(update=SMALL | steps)
    train = params.train.model_copy(update={"init": "scratch", "inpainting": section})
    for name in NETWORKS[:3]:
        shutil.copytree(RELEASED / name, models / name)
    train_network("inpainting", params.model_copy(update={"train": train}), masked, models)
    return register(models, lambda: "a test's")


def corrupted(masked: Path, to: Path, change: Callable[[list[dict]], None]) -> Path:
    """A copy of the masked faces whose training rows were changed."""
    shutil.copytree(masked, to)
    for eval_set in sorted(to.glob("train-*.parquet")):
        table = pq.read_table(eval_set)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, table.schema), eval_set, compression="none")
    return to


def pair_wrongly(rows: list[dict]) -> None:
    """Every masked face is given the face after it as the truth."""
    images = [row["image"] for row in rows]
    for row, image in zip(rows, images[1:] + images[:1], strict=True):
        row["image"] = image


@cache
def released_gender() -> torch.nn.Module:
    return load_network(RELEASED / "gender")


def psnr_of_men(generator: torch.nn.Module, masked: Path, count: int = 16) -> float:
    """Mean hole PSNR of men of the gate split, given their masks and landmarks, and the gender that
    the released network sees."""
    split = open_split(masked, "gate")
    men = [face for face in range(len(split)) if split.gender(face) == 1][:count]
    size = generator.image_size
    batch = collate([plain_inpainting_view(split, face, 0, None, size=size) for face in men])
    points = [move_points(split.landmarks[face], resizing(split.size, size)) for face in men]
    hole, judge = batch["hole"][:, None], released_gender()
    with torch.no_grad():
        seen = interpolate(batch["masked"], size=(judge.image_size,) * 2, mode="area")
        filled = generator(
            batch["masked"],
            hole.float(),
            torch.from_numpy(np.stack(points)).float(),
            2 * judge(seen).sigmoid() - 1,
            torch.zeros(len(men), generator.latent),
        )
    wrong = (filled.clamp(0, 1) - batch["image"]).square().mean(dim=1, keepdim=True) * hole
    return float(-10 * (wrong.sum((1, 2, 3)) / hole.sum((1, 2, 3))).log10().mean())


def harming_men(models: Path, masked: Path, below: float) -> str:
    """The released networks, of which the generator damages whom it is told to be a man, until
    their hole PSNR is `below`; the version they are registered as."""
    for name in NETWORKS[:3]:
        shutil.copytree(RELEASED / name, models / name)
    generator = load_network(RELEASED / "inpainting")
    told, condition = generator.condition[0], generator.condition[2]
    with torch.no_grad():
        # one number of the condition is 0 for a woman and up to 2 for a man, the surer the larger,
        # and moves all features of the last level
        told.weight[0], told.weight[0, 0], told.bias[0] = 0.0, 20.0, 0.0
        condition.weight[:, 0], condition.weight[0], condition.bias[0] = 0.0, 0.0, 0.0
        condition.weight[0, 0] = 0.1
        for module in generator.modules():
            if hasattr(module, "film"):
                module.film.weight[:, 0] = 0.0
        shift = generator.up[0].film.weight[generator.up[0].film.out_features // 2 :, 0]
        shift += 0.5
        while psnr_of_men(generator, masked) > below:
            shift *= 1.15
    section = json.loads((RELEASED / "inpainting" / PARAMS).read_text())
    del section["name"]
    save_network(generator, "inpainting", section, {"data_md5": "0"}, models / "inpainting")
    return register(models, lambda: "a test's")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    (folder / "dvc.yaml").write_text(DVC_YAML)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setattr(latency, "_PICTURES", 3)
        patch.setattr(latency, "_ROUNDS", 2)
        params = params_of(folder / "params.yaml")
        write_faces(params, folder / "data")
        masked_stage.make(params, folder / "data")
        masked = folder / "data" / "masked"
        project = Project(params, masked, connect(create=True))
        version = trained(params, masked, folder / "champion", 60)
        assert project.judge(version).verdict.summary == "promoted"
        yield project


def failed(done: Promotion) -> set[str]:
    return {reason.rule for reason in done.verdict.reasons if not reason.holds}


def assert_refused(project: Project, done: Promotion) -> None:
    """The champion stays, and the version and its run tell why."""
    assert not done.verdict.promote
    assert version_of(CHAMPION) == done.champion
    kept = json.loads(project.client.get_model_version(NAME, done.version).tags["unmask.gate"])
    assert kept["promote"] is False
    assert kept["champion"] == done.champion
    assert {r["rule"] for r in kept["reasons"] if not r["holds"]} == failed(done)
    run = project.client.get_run(kept["run"]).data
    assert run.tags["unmask.version"] == done.version
    assert run.tags["unmask.verdict"] == done.verdict.summary
    assert run.metrics["challenger/hole_psnr"] != run.metrics["champion/hole_psnr"]
    assert "champion/slice/gender_female/perceptual" in run.metrics


def test_a_challenger_trained_on_corrupted_data_is_refused(project, tmp_path):
    data = corrupted(project.masked, tmp_path / "masked", pair_wrongly)
    version = trained(project.params, data, tmp_path / "models", 40)
    done = project.judge_on(FACES["gate"], version, primary="hole_psnr")
    assert_refused(project, done)
    assert {"better", "slice gender=female", "slice gender=male"} <= failed(done)
    assert "hole PSNR better by -" in done.verdict.summary


def test_a_challenger_that_is_better_but_worse_for_men_is_refused(project, tmp_path):
    champion = load_network(networks_of(f"models:/{NAME}@{CHAMPION}")[0] / "inpainting")
    below = psnr_of_men(champion, project.masked) - 1
    version = harming_men(tmp_path / "models", project.masked, below)
    # so few faces prove little
    done = project.judge_on(
        FACES["gate"], version, primary="hole_psnr", confidence=0.8, loss_confidence=0.55
    )
    assert_refused(project, done)
    assert "slice gender=male" in failed(done)
    assert not {"better", "slice gender=female", "latency"} & failed(done), done.verdict.summary
    assert "gender=male -" in done.verdict.summary


def test_a_better_challenger_is_promoted_and_once_rolled_back_stays_out(project):
    version = import_release()
    done = project.judge()  # the challenger
    assert done.version == version
    assert done.verdict.summary == "promoted"
    assert version_of(CHAMPION) == version
    assert project.judge(version).verdict is None
    assert roll_back("worse on real photos").version == done.champion
    again = project.judge()
    assert failed(again) == {"not rolled back"}
    assert "worse on real photos" in again.verdict.summary
    assert version_of(CHAMPION) == done.champion


def test_a_champion_that_cannot_be_loaded_is_named_and_stays(project):
    champion, challenger = version_of(CHAMPION), import_release()
    weights = networks_of(f"models:/{NAME}/{champion}")[0] / "inpainting" / "model.onnx"
    whole = weights.read_bytes()
    for break_it in (lambda: weights.write_bytes(whole[:-1]), weights.unlink):
        break_it()
        with pytest.raises(RegistryError, match=f"version {champion}, cannot be loaded.*rollback"):
            project.judge(challenger)
    weights.write_bytes(whole)
    settings = weights.parents[1] / RESTORE
    settings.write_text("{")
    with pytest.raises(RegistryError, match=r"cannot be loaded.*restore\.json is damaged"):
        project.judge(challenger)
    settings.unlink()
    assert version_of(CHAMPION) == champion


def test_a_champion_of_another_image_size_is_judged_on_the_same_faces(project, smoke, tmp_path):
    before = version_of(CHAMPION)
    for name in NETWORKS:
        section = getattr(smoke.train, name)
        network, stored = build(name, section), section.model_dump(mode="json")
        save_network(network, name, stored, {"data_md5": "0"}, tmp_path / "models" / name)
    small = register(tmp_path / "models", lambda: "64 pixels, untrained")
    make_champion(small, "a test of sizes")
    done = project.judge_on(12, before, minimum_faces=12, latency_ratio=100.0)
    assert done.champion == small
    assert done.verdict.summary == "promoted"
    assert version_of(CHAMPION) == before


def test_too_few_faces_refuse_whatever_they_say(project):
    done = project.judge_on(8, import_release())
    assert "faces" in failed(done)
    assert "8 faces were scored, at least 24 wanted" in done.verdict.summary
    assert version_of(CHAMPION) == done.champion
