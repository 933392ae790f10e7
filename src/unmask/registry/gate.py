"""The gate: may a challenger replace the champion? A pure function from scores to a verdict."""

import math
from dataclasses import dataclass

import numpy as np

from unmask.config.params import Gate
from unmask.registry.bootstrap import lower_bound, upper_bounds

_NAMES = {"perceptual": "perceptual distance", "hole_psnr": "hole PSNR"}


@dataclass(frozen=True)
class GateScores:
    """A model's scores on the N faces of the gate set; arrays are in the set's order.

    Attributes:
        hole_psnr: (N,) dB.
        perceptual: (N,) perceptual distance in the hole, at least 0; lower is better.
        mask_iou: (N,) in [0, 1].
        nme: (N,) normalised mean error of the landmarks, at least 0; lower is better.
        gender_right: (N,) 1 or 0; NaN where the source gives no gender.
        sharpness: of all holes, divided by that of the true pixels; 1 is as sharp.
        over_mean_face: mean hole PSNR less that of the mean-face baseline, dB.
        over_telea: mean hole PSNR less that of Telea's inpainting, dB.
        bare_restored: share of faces without a mask that are altered all the same, in [0, 1].
        groups: per slice, indices (M,) of its faces.
        seconds: (P,) latency on P pictures, measured in turn with the other model.
    """

    hole_psnr: np.ndarray
    perceptual: np.ndarray
    mask_iou: np.ndarray
    nme: np.ndarray
    gender_right: np.ndarray
    sharpness: float
    over_mean_face: float
    over_telea: float
    bare_restored: float
    groups: dict[str, np.ndarray]
    seconds: np.ndarray

    def figures(self) -> dict[str, float]:
        """Mean scores, scalars and the median latency by name; NaN where nothing was measured."""
        arrays = {
            "hole_psnr": self.hole_psnr,
            "perceptual": self.perceptual,
            "mask_iou": self.mask_iou,
            "nme": self.nme,
            "gender_accuracy": self.gender_right[~np.isnan(self.gender_right)],
        }
        return {
            **{name: float(a.mean()) if a.size else math.nan for name, a in arrays.items()},
            "sharpness": self.sharpness,
            "hole_psnr_over_mean_face": self.over_mean_face,
            "hole_psnr_over_telea": self.over_telea,
            "bare_restored": self.bare_restored,
            "seconds": float(np.median(self.seconds)) if self.seconds.size else math.nan,
        }


@dataclass(frozen=True)
class Reason:
    """The result of one rule of the gate.

    Attributes:
        rule: its name, e.g. 'floor NME' or 'slice gender=male'.
        holds: whether the challenger keeps to it.
        text: the figures behind that, and what was wanted.
    """

    rule: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """The gate's decision, with the result of every rule."""

    reasons: tuple[Reason, ...]

    @property
    def promote(self) -> bool:
        """Whether the challenger may be promoted: every rule holds."""
        return all(reason.holds for reason in self.reasons)

    @property
    def summary(self) -> str:
        """One line: 'promoted', or 'refused' with the rules that do not hold."""
        failed = [reason.text for reason in self.reasons if not reason.holds]
        return "promoted" if not failed else "refused: " + "; ".join(failed)

    def as_json(self) -> dict:
        """The value of the version's tag `unmask.gate`."""
        return {
            "promote": self.promote,
            "summary": self.summary,
            "reasons": [vars(reason) for reason in self.reasons],
        }


def _limit(name: str, value: float, limit: float, *, ceiling: bool = False) -> Reason:
    holds = bool(math.isfinite(value) and (value <= limit if ceiling else value >= limit))
    bound = "at most" if ceiling else "at least"
    shown = f"{value:.4g}" if math.isfinite(value) else "is missing or not finite"
    return Reason(f"floor {name}", holds, f"{name} {shown}, {bound} {limit:.4g} wanted")


def _band(name: str, value: float, least: float, most: float) -> Reason:
    shown = f"{value:.4g}" if math.isfinite(value) else "is missing or not finite"
    text = f"{name} {shown}, {least:.4g} to {most:.4g} wanted"
    return Reason(f"floor {name}", bool(least <= value <= most), text)


def _floors(scores: GateScores, params: Gate) -> list[Reason]:
    floors, figures = params.floors, scores.figures()
    over = "hole PSNR over"
    return [
        _limit("mask IoU", figures["mask_iou"], floors.mask_iou),
        _limit("NME", figures["nme"], floors.nme, ceiling=True),
        _limit("gender accuracy", figures["gender_accuracy"], floors.gender_accuracy),
        _limit(f"{over} mean face", scores.over_mean_face, floors.hole_psnr_over_mean_face),
        _limit(f"{over} Telea", scores.over_telea, floors.hole_psnr_over_telea),
        _limit("bare faces altered", scores.bare_restored, floors.bare_restored, ceiling=True),
        _band("sharpness", scores.sharpness, *floors.sharpness),
    ]


def _gains(
    challenger: GateScores, champion: GateScores, metric: str, faces: np.ndarray
) -> np.ndarray:
    """The challenger's gain (M,) on each of the faces (M,), given by their indices.

    A gain in hole PSNR is in dB. A gain in the perceptual distance is its decrease, as a share of
    the champion's mean on these faces; it is not finite where that mean is 0.
    """
    change = getattr(challenger, metric)[faces] - getattr(champion, metric)[faces]
    if metric == "hole_psnr":
        return change
    with np.errstate(divide="ignore", invalid="ignore"):
        return -change / champion.perceptual[faces].mean()


@dataclass(frozen=True)
class _NonInferiority:
    """The rule that a group of faces must not lose more than a tolerance in the mean.

    Attributes:
        rule, name: of the rule, and of the gain in its text.
        members: (M,) indices of the group's faces.
        gains: (M,) of those faces.
        tolerance: loss in the mean that is always allowed, above 0, in the unit of the gains.
    """

    rule: str
    name: str
    members: np.ndarray
    gains: np.ndarray
    tolerance: float

    def reason(self, bound: float, params: Gate) -> Reason:
        """The rule's result, by the upper confidence bound of the mean gain.

        A loss beyond the tolerance is excused where the bound is at least 0: chance explains it.
        """
        mean = float(self.gains.mean()) if self.gains.size else math.nan
        holds = math.isfinite(mean) and (mean >= -self.tolerance or bound >= 0)
        return Reason(
            self.rule,
            bool(holds),
            f"{self.name} {mean:+.3f} on {len(self.members)} faces, at best {bound:+.3f} at "
            f"{params.loss_confidence:.0%} confidence, a loss over {self.tolerance:.3g} wants "
            "chance to explain it",
        )


def _non_inferiority_rules(
    challenger: GateScores, champion: GateScores, params: Gate
) -> list[_NonInferiority]:
    """A rule per mean other than the primary metric's, and per slice that is large enough."""
    primary = params.primary
    accuracy = challenger.gender_right - champion.gender_right
    all_faces = np.arange(len(accuracy))
    labelled = all_faces[~np.isnan(champion.gender_right)]
    mask_iou, nme = challenger.mask_iou - champion.mask_iou, champion.nme - challenger.nme
    means = [
        ("mask IoU", all_faces, mask_iou, params.mask_iou_tolerance),
        ("NME", all_faces, nme, params.nme_tolerance),
        ("gender accuracy", labelled, accuracy[labelled], params.gender_accuracy_tolerance),
    ]
    if primary != "hole_psnr":
        psnr = _gains(challenger, champion, "hole_psnr", all_faces)
        means.insert(0, ("hole PSNR", all_faces, psnr, params.hole_psnr_tolerance))
    return [
        *(
            _NonInferiority(f"not worse {name}", f"gain in {name}", faces, gains, tolerance)
            for name, faces, gains, tolerance in means
        ),
        *(
            _NonInferiority(
                f"slice {name}",
                f"gain in {_NAMES[primary]} of {name}",
                group,
                _gains(challenger, champion, primary, group),
                getattr(params.slice_tolerance, primary),
            )
            for name, group in challenger.groups.items()
            if len(group) >= params.minimum_slice
        ),
    ]


def _not_worse(challenger: GateScores, champion: GateScores, params: Gate) -> list[Reason]:
    rules = _non_inferiority_rules(challenger, champion, params)
    finite = [rule for rule in rules if rule.gains.size and np.isfinite(rule.gains).all()]
    bounds = dict.fromkeys((rule.rule for rule in rules), math.nan)
    if finite:
        gains, members = [rule.gains for rule in finite], [rule.members for rule in finite]
        faces = len(challenger.hole_psnr)
        found = upper_bounds(gains, members, faces, params.loss_confidence, params.resamples)
        bounds |= {rule.rule: float(bound) for rule, bound in zip(finite, found, strict=True)}
    return [rule.reason(bounds[rule.rule], params) for rule in rules]


def _better(challenger: GateScores, champion: GateScores, params: Gate) -> Reason:
    name, all_faces = _NAMES[params.primary], np.arange(len(challenger.hole_psnr))
    gains = _gains(challenger, champion, params.primary, all_faces)
    finite = np.isfinite(gains).all()
    bound = lower_bound(gains, params.confidence, params.resamples) if finite else math.nan
    unit, digits = ("dB", 3) if params.primary == "hole_psnr" else ("of the champion's", 4)
    return Reason(
        "better",
        bool(bound > 0),
        f"{name} better by {gains.mean():+.{digits}f} {unit}, of which {bound:+.{digits}f} at "
        f"{params.confidence:.0%} confidence, more than 0 wanted",
    )


def _latency(challenger: GateScores, champion: GateScores, params: Gate) -> Reason:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.median(challenger.seconds / champion.seconds))
    return Reason(
        "latency",
        bool(math.isfinite(ratio) and ratio <= params.latency_ratio),
        f"takes {ratio:.2f} times as long, at most {params.latency_ratio:.2f} wanted",
    )


def judge(
    challenger: GateScores, champion: GateScores | None, params: Gate, own: int | None = None
) -> Verdict:
    """Judge a challenger by absolute floors and, where there is one, against the champion.

    Against a champion it must be better on the primary metric at the confidence that params set,
    lose no more than the tolerance on that metric in any slice and on any other metric in the mean,
    unless chance explains the loss, and not be slower than the allowed ratio. Slices with too few
    faces are not judged. Scores that are missing or not finite fail, and so does a gate set with
    too few faces.

    Args:
        challenger: its scores.
        champion: scores on the same faces; None judges by the floors alone.
        params: section `gate` of params.yaml.
        own: number of faces that are the project's, of which there must be enough; None for all.

    Raises:
        ValueError: when the two were scored on different numbers of faces.
    """
    faces = len(challenger.hole_psnr)
    own = faces if own is None else own
    enough = f"{own} faces were scored, at least {params.minimum_faces} wanted"
    reasons = [Reason("faces", own >= params.minimum_faces, enough)]
    if not faces:
        return Verdict(tuple(reasons))
    measured = (challenger.hole_psnr, challenger.perceptual, challenger.seconds)
    finite = np.isfinite(np.concatenate(measured)).all()
    text = "hole PSNR, perceptual distance and time of every face are numbers"
    reasons.append(Reason("finite", bool(finite), text))
    reasons += _floors(challenger, params)
    if champion is None:
        return Verdict(tuple(reasons))
    if challenger.hole_psnr.shape != champion.hole_psnr.shape:
        raise ValueError("both models must be scored on the same faces")
    reasons.append(_better(challenger, champion, params))
    reasons += _not_worse(challenger, champion, params)
    reasons.append(_latency(challenger, champion, params))
    return Verdict(tuple(reasons))
