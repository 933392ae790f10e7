"""Promotion: score challenger and champion on the gate set in one run, judge, move the alias."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.config.params import Params
from unmask.datasets.cache import open_split
from unmask.errors import TEMPORARY, UnmaskError
from unmask.evaluation.baselines import MeanFace, telea
from unmask.evaluation.common_faces import with_common_faces
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
from unmask.networks import SYNTHETIC, sources_of
from unmask.registry.champions import champion, replace_champion, rollback_of
from unmask.registry.gate import GateScores, Reason, Verdict, judge
from unmask.registry.latency import measure_latencies
from unmask.registry.release import champion_or_first
from unmask.registry.versions import (
    CHALLENGER,
    NAME,
    RegistryError,
    networks_of,
    tag_verdict,
    verdict_of,
    version_of,
)
from unmask.tracking import stage_run

_NOT_IN_METRIC_NAMES = re.compile(r"[^\w. -]")


@dataclass(frozen=True)
class Promotion:
    """The outcome of judging a version.

    Attributes:
        version: its number.
        champion: number of the champion that it was judged against; None where there was none.
        verdict: the gate's; None where the version already is the champion.
    """

    version: str
    champion: str | None
    verdict: Verdict | None


def _scores(
    version: str,
    chain: Chain,
    eval_set: EvaluationSet,
    truth: TrueFaces,
    baselines: dict[str, float],
    seconds: np.ndarray,
    cluster: str | None,
) -> GateScores:
    """A version's scores; `baselines` are mean hole PSNRs in dB, `seconds` its latencies."""
    measured, _ = measure_chain(
        chain, eval_set, truth, f"gate: faces by version {version}", cluster
    )
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
        bare_restored=bare_restored(chain, eval_set, cluster),
        groups=groups_of(eval_set),
        seconds=seconds,
    )


def _score_all(
    chains: dict[str, Chain],
    eval_set: EvaluationSet,
    train_images: tuple[np.ndarray, np.ndarray],
    cluster: str | None,
) -> dict[str, GateScores]:
    """The scores of every version on the same faces; the mean face is fitted to `train_images`."""
    truth = TrueFaces(
        eval_set.images, eval_set.valid, eval_set.masks, eval_set.landmarks, identity=False
    )
    mean_face = MeanFace.fit(*train_images)
    baselines = {
        name: float(truth.psnr(fill_pictures(fill, eval_set)).mean())
        for name, fill in {"mean_face": mean_face.fill, "telea": telea}.items()
    }
    latencies = measure_latencies(list(chains.values()), eval_set)
    return {
        version: _scores(version, chain, eval_set, truth, baselines, seconds, cluster)
        for (version, chain), seconds in zip(chains.items(), latencies, strict=True)
    }


def _figures(scores: GateScores, minimum_slice: int) -> dict[str, float]:
    """The finite means and slice means, under names that MLflow accepts for metrics."""
    primaries = {"hole_psnr": scores.hole_psnr, "perceptual": scores.perceptual}
    figures = scores.figures() | {
        f"slice/{_NOT_IN_METRIC_NAMES.sub('_', name)}/{metric}": float(values[members].mean())
        for name, members in scores.groups.items()
        for metric, values in primaries.items()
        if len(members) >= minimum_slice
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _networks(version: str) -> Path:
    return networks_of(f"models:/{NAME}/{version}")[0]


def _real_faces(challenger: set[str], champion: set[str] | None) -> Reason:
    """That what learned from synthetic faces alone does not replace what learned from real ones.

    It is better on the synthetic faces that it is judged by, which are less sharp than photos, and
    worse on photos.
    """
    worse = challenger == {SYNTHETIC} and bool((champion or set()) - {SYNTHETIC})
    text = "it was trained on synthetic faces alone, and the champion on real ones"
    return Reason("real faces", not worse, text if worse else "no real faces are given up")


def _champion(version: str) -> tuple[Path, Chain]:
    """The folder of its networks, and these loaded."""
    try:
        folder = _networks(version)
        return folder, Chain.load(folder)
    except (UnmaskError, OSError) as error:
        if getattr(error, "status", 1) == TEMPORARY:
            raise
        raise RegistryError(
            f"the champion, version {version}, cannot be loaded, so nothing can be judged against "
            f"it ({error}) Restore the store from a backup, or `unmask models rollback`."
        ) from error


def promote(
    params: Params, masked: Path, version: str | None = None, *, after_rollback: bool = False
) -> Promotion:
    """Judge a version as `judge_version` does and, if every rule holds, make it champion.

    Args:
        params: the project's, with the gate's rules.
        masked: the folder of the masked faces, whose gate split both models are scored on.
        version: number of the version; None takes the challenger.
        after_rollback: judge a version that was rolled back too, which is refused otherwise.

    Raises:
        RegistryError: as `judge_version`, or when the champion was replaced meanwhile.
    """
    promotion = judge_version(params, masked, version, after_rollback=after_rollback)
    if promotion.verdict is not None and promotion.verdict.promote:
        replace_champion(promotion.champion, promotion.version, "the gate's rules all held")
    return promotion


def last_judgement(version: str | None = None, *, after_rollback: bool = False) -> Promotion | None:
    """The recorded verdict on a version against the present champion, or None.

    Args:
        version: number of the version; None takes the challenger.
        after_rollback: whether a verdict still counts after the version was rolled back.
    """
    number = version or version_of(CHALLENGER)
    if number is None or (not after_rollback and rollback_of(number)):
        return None
    verdict, present = verdict_of(number), champion()
    if verdict is None or verdict.get("champion") != present:
        return None
    return Promotion(number, present, Verdict(tuple(Reason(**r) for r in verdict["reasons"])))


def judge_version(
    params: Params, masked: Path, version: str | None = None, *, after_rollback: bool = False
) -> Promotion:
    """Judge a version by the gate and record the verdict as its tag; the champion stays.

    A new registry's first champion is the release, where params say so.

    Args:
        params: the project's, with the gate's rules.
        masked: the folder of the masked faces, whose gate split both models are scored on.
        version: number of the version to judge; None takes the challenger.
        after_rollback: judge a version that was rolled back too, which is refused otherwise; for
            a version that a person named.

    Raises:
        RegistryError: when there is no challenger or no such version, or when the champion is gone
            or cannot be loaded.
    """
    version = version or version_of(CHALLENGER)
    if version is None:
        raise RegistryError("there is no challenger: run `dvc repro` and `unmask models sync`.")
    present = champion_or_first(params.gate)
    if present == version:
        return Promotion(version, present, None)
    if not after_rollback and (change := rollback_of(version)):
        text = (
            f"{change.who} rolled version {version} back at {change.when} ({change.why}): "
            f"`unmask models promote {version}` judges it again"
        )
        return Promotion(version, present, Verdict((Reason("not rolled back", False, text),)))
    folders = {version: _networks(version)}
    chains = {version: Chain.load(folders[version])}
    if present:
        folders[present], chains[present] = _champion(present)
    split = open_split(masked, "gate")
    tags = {"unmask.data_md5": split.digest, "unmask.version": version}
    with stage_run("gate", tags) as run:
        own = select_faces(split, params.evaluate.max_faces)
        eval_set = with_common_faces(own, params.gate.common_faces)
        scores = _score_all(
            chains, eval_set, fitting_faces(open_split(masked, "train")), params.cluster
        )
        of_champion = scores[present] if present else None
        judged = judge(scores[version], of_champion, params.gate, len(own))
        sources = {number: sources_of(folder) for number, folder in folders.items()}
        verdict = Verdict(
            (_real_faces(sources[version], sources.get(present or "")), *judged.reasons)
        )
        for role, number in {"challenger": version, "champion": present}.items():
            if number:
                figures = _figures(scores[number], params.gate.minimum_slice)
                run.metrics({f"{role}/{name}": value for name, value in figures.items()})
        run.text("\n".join(f"{r.holds}: {r.rule}: {r.text}" for r in verdict.reasons), "gate.txt")
        run.tag({"unmask.champion": present or "", "unmask.verdict": verdict.summary[:4000]})
        tag_verdict(version, {**verdict.as_json(), "champion": present, "run": run.id})
    return Promotion(version, present, verdict)
