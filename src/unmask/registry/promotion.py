"""Promotion: score challenger and champion on the gate shard in one run, judge, move the alias."""

from dataclasses import dataclass
from pathlib import Path

import torch

from unmask.data.cache import open_split
from unmask.evaluation.baselines import MeanFace, telea
from unmask.evaluation.measure import bare_restored, measure_chain
from unmask.evaluation.scores import TrueFaces
from unmask.evaluation.shard import Shard, fill_shard, fitting_faces, take
from unmask.evaluation.slices import groups_of
from unmask.params import Params
from unmask.registry.gate import GateScores, Reason, Verdict, judge
from unmask.registry.loading import load_chain
from unmask.registry.versions import (
    CHALLENGER,
    CHAMPION,
    NAME,
    RegistryError,
    make_champion,
    tag_verdict,
    verdict_of,
    version_of,
)
from unmask.restore.chain import Chain
from unmask.training.tracking import stage_run


@dataclass(frozen=True)
class Promotion:
    """What became of a challenger; `verdict` is None where it already is the champion."""

    version: str
    champion: str | None
    verdict: Verdict | None


def _scores(
    chain: Chain, shard: Shard, truth: TrueFaces, baselines: dict[str, float]
) -> GateScores:
    measured, seconds = measure_chain(chain, shard, truth)
    psnr = measured.table["hole_psnr"]
    return GateScores(
        hole_psnr=measured.hole.psnr,
        mask_iou=measured.table["mask_iou"],
        nme=measured.table["nme"],
        gender_accuracy=measured.table.get("gender_accuracy", float("nan")),
        over_mean_face=psnr - baselines["mean_face"],
        over_telea=psnr - baselines["telea"],
        bare_restored=bare_restored(chain, shard),
        groups=groups_of(shard),
        seconds=seconds,
    )


def promote(params: Params, masked: Path, version: str | None = None) -> Promotion:
    """Judge a version as `judge_version` does and, if every rule holds, make it champion."""
    done = judge_version(params, masked, version)
    if done.verdict is not None and done.verdict.promote:
        make_champion(done.version, "the gate's rules all held")
    return done


def judged(version: str) -> Promotion | None:
    """What the gate said of a version against the present champion, if it was asked already."""
    verdict, champion = verdict_of(version), version_of(CHAMPION)
    if verdict is None or verdict.get("champion") != champion:
        return None
    return Promotion(version, champion, Verdict(tuple(Reason(**r) for r in verdict["reasons"])))


def judge_version(params: Params, masked: Path, version: str | None = None) -> Promotion:
    """Judge a version by the gate; the champion stays.

    Args:
        masked: the masked faces, whose gate split both models are scored on.
        version: the version to judge; None takes the challenger.

    Raises:
        RegistryError: when there is no challenger or no such version.
    """
    torch.set_num_threads(params.threads)
    version = version or version_of(CHALLENGER)
    if version is None:
        raise RegistryError("there is no challenger: run `dvc repro` and `unmask models sync`.")
    champion = version_of(CHAMPION)
    if champion == version:
        return Promotion(version, champion, None)
    split = open_split(masked, "gate")
    shard = take(split, params.evaluate.max_faces)
    truth = TrueFaces(shard.images, shard.valid, shard.masks)
    mean_face = MeanFace.fit(*fitting_faces(open_split(masked, "train")))
    baselines = {
        name: float(truth.score(fill_shard(fill, shard)).psnr.mean())
        for name, fill in {"mean_face": mean_face.fill, "telea": telea}.items()
    }
    with stage_run("gate", {"unmask.data_md5": split.digest, "unmask.version": version}) as run:
        chains = {v: load_chain(f"models:/{NAME}/{v}")[0] for v in (version, champion) if v}
        scores = {v: _scores(chain, shard, truth, baselines) for v, chain in chains.items()}
        verdict = judge(scores[version], scores.get(champion), params.gate)
        run.text("\n".join(f"{r.holds}: {r.rule}: {r.text}" for r in verdict.reasons), "gate.txt")
        run.tag({"unmask.verdict": verdict.summary[:4000]})
    tag_verdict(version, {**verdict.as_json(), "champion": champion})
    return Promotion(version, champion, verdict)
