"""The gate: may a challenger replace the champion? A pure function that gives its reasons."""

import math
from dataclasses import dataclass

import numpy as np

from unmask.params import Gate


@dataclass(frozen=True)
class GateScores:
    """A model's scores on the gate shard.

    Attributes:
        hole_psnr: (N,) dB, the primary metric, face by face in the shard's order.
        mask_iou, nme, gender_accuracy: means in [0, 1]; an error for nme.
        bare_restored: share of faces without a mask that are altered all the same.
        over_mean_face, over_telea: hole PSNR above the baseline's, dB.
        groups: indices (M,) of the faces of each slice.
        seconds: median a picture.
    """

    hole_psnr: np.ndarray
    mask_iou: float
    nme: float
    gender_accuracy: float
    over_mean_face: float
    over_telea: float
    bare_restored: float
    groups: dict[str, np.ndarray]
    seconds: float


@dataclass(frozen=True)
class Reason:
    """One rule, whether it holds, and the figures behind it."""

    rule: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """Whether to promote: when every rule holds."""

    reasons: tuple[Reason, ...]

    @property
    def promote(self) -> bool:
        return all(reason.holds for reason in self.reasons)

    @property
    def summary(self) -> str:
        """One line: 'promoted', or 'refused' with the rules that do not hold."""
        failed = [reason.text for reason in self.reasons if not reason.holds]
        return "promoted" if not failed else "refused: " + "; ".join(failed)

    def as_json(self) -> dict:
        """For the version's tag."""
        return {
            "promote": self.promote,
            "summary": self.summary,
            "reasons": [vars(reason) for reason in self.reasons],
        }


def _floor(name: str, value: float, floor: float, *, ceiling: bool = False) -> Reason:
    holds = bool(math.isfinite(value) and (value <= floor if ceiling else value >= floor))
    bound = "at most" if ceiling else "at least"
    return Reason(f"floor {name}", holds, f"{name} {value:.4g}, {bound} {floor:.4g} wanted")


def _floors(scores: GateScores, params: Gate) -> list[Reason]:
    floors = params.floors
    return [
        _floor("mask IoU", scores.mask_iou, floors.mask_iou),
        _floor("NME", scores.nme, floors.nme, ceiling=True),
        _floor("gender accuracy", scores.gender_accuracy, floors.gender_accuracy),
        _floor("hole PSNR over mean face", scores.over_mean_face, floors.hole_psnr_over_mean_face),
        _floor("hole PSNR over Telea", scores.over_telea, floors.hole_psnr_over_telea),
        _floor("bare faces altered", scores.bare_restored, floors.bare_restored, ceiling=True),
    ]


def _not_worse(name: str, loss: float, tolerance: float) -> Reason:
    return Reason(
        f"not worse {name}",
        bool(math.isfinite(loss) and loss <= tolerance),
        f"{name} worse by {loss:+.4f}, at most {tolerance:+.4f} wanted",
    )


def lower_bound(differences: np.ndarray, params: Gate) -> float:
    """One-sided lower confidence bound of the mean difference by a paired bootstrap.

    Args:
        differences: (N,) challenger minus champion, face by face.
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(differences), size=(params.resamples, len(differences)))
    return float(np.quantile(differences[drawn].mean(axis=1), 1 - params.confidence))


def judge(challenger: GateScores, champion: GateScores | None, params: Gate) -> Verdict:
    """Judge a challenger by absolute floors and, where there is one, against the champion.

    Against a champion it must be better on the primary metric with the confidence asked for, lose
    no slice and no other mean by more than its tolerance, and not be slower than the ratio. A
    figure that is missing or not finite fails.
    """
    finite = bool(np.isfinite(challenger.hole_psnr).all() and math.isfinite(challenger.seconds))
    reasons = [Reason("finite", finite, "hole PSNR and time of every face are numbers")]
    reasons += _floors(challenger, params)
    if champion is None:
        return Verdict(tuple(reasons))
    if challenger.hole_psnr.shape != champion.hole_psnr.shape:
        raise ValueError("both models must be scored on the same faces")
    differences = challenger.hole_psnr - champion.hole_psnr
    bound = lower_bound(differences, params) if np.isfinite(differences).all() else math.nan
    reasons.append(
        Reason(
            "better",
            bool(bound > 0),
            f"hole PSNR {differences.mean():+.3f} dB, of which {bound:+.3f} at "
            f"{params.confidence:.0%} confidence, more than 0 wanted",
        )
    )
    accuracy = champion.gender_accuracy - challenger.gender_accuracy
    reasons += [
        _not_worse("mask IoU", champion.mask_iou - challenger.mask_iou, params.mask_iou_tolerance),
        _not_worse("NME", challenger.nme - champion.nme, params.nme_tolerance),
        _not_worse("gender accuracy", accuracy, params.gender_accuracy_tolerance),
    ]
    for name, members in challenger.groups.items():
        if len(members) >= params.minimum_slice:
            change = float(differences[members].mean())
            reasons.append(
                Reason(
                    f"slice {name}",
                    math.isfinite(change) and change >= -params.slice_tolerance,
                    f"{name} {change:+.3f} dB on {len(members)} faces, at least "
                    f"{-params.slice_tolerance:+.3g} wanted",
                )
            )
    ratio = challenger.seconds / champion.seconds if champion.seconds > 0 else math.nan
    reasons.append(
        Reason(
            "latency",
            bool(math.isfinite(ratio) and ratio <= params.latency_ratio),
            f"takes {ratio:.2f} times as long, at most {params.latency_ratio:.2f} wanted",
        )
    )
    return Verdict(tuple(reasons))
