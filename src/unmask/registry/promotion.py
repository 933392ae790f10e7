"""Promotion: score challenger and champion on the gate set in one run, judge, move the alias."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.config.params import Params
from unmask.datasets.cache import open_split
from unmask.evaluation.baselines import MeanFace, telea
from unmask.evaluation.evaluation_set import (
    EvaluationSet,
    fill_pictures,
    fitting_faces,
    select_faces,
)
from unmask.evaluation.measure import bare_restored, measure_chain
from unmask.evaluation.scores import TrueFaces
from unmask.evaluation.slices import groups_of
from unmask.inference.chain import Chain
from unmask.models.stored import StoredModelError
from unmask.registry.champions import rolled_back, succeed
from unmask.registry.gate import GateScores, Reason, Verdict, judge
from unmask.registry.latency import seconds_in_turn
from unmask.registry.loading import load_chain
from unmask.registry.versions import (
    CHALLENGER,
    CHAMPION,
    NAME,
    RegistryAwayError,
    RegistryError,
    tag_verdict,
    verdict_of,
    version_of,
)
from unmask.tracking import stage_run

_UNNAMEABLE = re.compile(r"[^\w. -]")  # in a metric's name


@dataclass(frozen=True)
class Promotion:
    """What became of a challenger; `verdict` is None where it already is the champion."""

    version: str
    champion: str | None
    verdict: Verdict | None


def _scores(
    chain: Chain,
    eval_set: EvaluationSet,
    truth: TrueFaces,
    baselines: dict[str, float],
    seconds: np.ndarray,
) -> GateScores:
    measured, _ = measure_chain(chain, eval_set, truth)
    psnr = measured.table["hole_psnr"]
    right = (measured.gender_male > 0.5) == (eval_set.gender == 1)
    return GateScores(
        hole_psnr=measured.hole.psnr,
        perceptual=measured.hole.perceptual,
        mask_iou=measured.iou,
        nme=measured.nme,
        gender_right=np.where(eval_set.gender >= 0, right, np.nan),
        sharpness=measured.hole.sharpness(),
        over_mean_face=psnr - baselines["mean_face"],
        over_telea=psnr - baselines["telea"],
        bare_restored=bare_restored(chain, eval_set),
        groups=groups_of(eval_set),
        seconds=seconds,
    )


def _score_all(chains: dict[str, Chain], eval_set: EvaluationSet, train_images: tuple) -> dict:
    """The scores of every version on the same faces."""
    truth = TrueFaces(
        eval_set.images, eval_set.valid, eval_set.masks, eval_set.landmarks, identity=False
    )
    mean_face = MeanFace.fit(*train_images)
    baselines = {
        name: float(truth.psnr(fill_pictures(fill, eval_set)).mean())
        for name, fill in {"mean_face": mean_face.fill, "telea": telea}.items()
    }
    seconds = seconds_in_turn(list(chains.values()), eval_set)
    return {
        version: _scores(chain, eval_set, truth, baselines, taken)
        for (version, chain), taken in zip(chains.items(), seconds, strict=True)
    }


def _figures(scores: GateScores, minimum_slice: int) -> dict[str, float]:
    """Means and slices under names that MLflow takes, those that are numbers."""
    primaries = {"hole_psnr": scores.hole_psnr, "perceptual": scores.perceptual}
    figures = scores.figures() | {
        f"slice/{_UNNAMEABLE.sub('_', name)}/{metric}": float(values[members].mean())
        for name, members in scores.groups.items()
        for metric, values in primaries.items()
        if len(members) >= minimum_slice
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _champion_chain(version: str) -> Chain:
    try:
        return load_chain(f"models:/{NAME}/{version}")[0]
    except RegistryAwayError:
        raise
    except (RegistryError, StoredModelError, OSError) as error:
        raise RegistryError(
            f"the champion, version {version}, cannot be loaded, so nothing can be judged against "
            f"it ({error}) Restore the store from a backup, or `unmask models rollback`."
        ) from error


def promote(
    params: Params, masked: Path, version: str | None = None, *, again: bool = False
) -> Promotion:
    """Judge a version as `judge_version` does and, if every rule holds, make it champion."""
    done = judge_version(params, masked, version, again=again)
    if done.verdict is not None and done.verdict.promote:
        succeed(done.champion, done.version, "the gate's rules all held")
    return done


def judged(version: str | None = None, *, again: bool = False) -> Promotion | None:
    """What the gate said of a version against the present champion, if it was asked already.

    Args:
        version: None takes the challenger.
        again: also of one that was rolled back since.
    """
    number = version or version_of(CHALLENGER)
    if number is None or (not again and rolled_back(number)):
        return None
    verdict, champion = verdict_of(number), version_of(CHAMPION)
    if verdict is None or verdict.get("champion") != champion:
        return None
    return Promotion(number, champion, Verdict(tuple(Reason(**r) for r in verdict["reasons"])))


def judge_version(
    params: Params, masked: Path, version: str | None = None, *, again: bool = False
) -> Promotion:
    """Judge a version by the gate; the champion stays.

    Args:
        masked: the masked faces, whose gate split both models are scored on.
        version: the version to judge; None takes the challenger.
        again: judge one that was rolled back too, which is refused otherwise: a person asks for it.

    Raises:
        RegistryError: when there is no challenger or no such version, when the champion cannot be
            loaded, or when it was replaced while the version was judged.
    """
    version = version or version_of(CHALLENGER)
    if version is None:
        raise RegistryError("there is no challenger: run `dvc repro` and `unmask models sync`.")
    champion = version_of(CHAMPION)
    if champion == version:
        return Promotion(version, champion, None)
    if not again and (change := rolled_back(version)):
        text = (
            f"{change.who} rolled version {version} back at {change.when} ({change.why}): "
            f"`unmask models promote {version}` judges it again"
        )
        return Promotion(version, champion, Verdict((Reason("not rolled back", False, text),)))
    chains = {version: load_chain(f"models:/{NAME}/{version}")[0]}
    if champion:
        chains[champion] = _champion_chain(champion)
    split = open_split(masked, "gate")
    tags = {"unmask.data_md5": split.digest, "unmask.version": version}
    with stage_run("gate", tags) as run:
        eval_set = select_faces(split, params.evaluate.max_faces)
        scores = _score_all(chains, eval_set, fitting_faces(open_split(masked, "train")))
        verdict = judge(scores[version], scores.get(champion), params.gate)
        for role, scored in {"challenger": version, "champion": champion}.items():
            if scored:
                figures = _figures(scores[scored], params.gate.minimum_slice)
                run.metrics({f"{role}/{name}": value for name, value in figures.items()})
        run.text("\n".join(f"{r.holds}: {r.rule}: {r.text}" for r in verdict.reasons), "gate.txt")
        run.tag({"unmask.champion": champion or "", "unmask.verdict": verdict.summary[:4000]})
        tag_verdict(version, {**verdict.as_json(), "champion": champion, "run": run.id})
    return Promotion(version, champion, verdict)
